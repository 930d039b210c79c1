package chat

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
	"golang.org/x/image/webp"

	"hishub/core"
)

const typeJPEG, typePNG = "image/jpeg", "image/png"

const (
	// maxPixels and maxSide of a picture bound what a small file can ask for: decoded it
	// takes up to eight bytes a pixel.
	maxPixels, maxSide = 24_000_000, 12_000
	// smallSide is the longer side of the small one, in pixels.
	smallSide = 480
	// maxDrawn bounds the new file, in bytes.
	maxDrawn = 16 << 20
	// quality of JPEG, of the whole one and the small one.
	quality, smallQuality = 92, 80
)

// format of a file, told by how it begins and never by its name.
type format struct {
	name   string
	begins func(file []byte) bool
	size   func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var formats = []format{
	{"JPEG", begins("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode},
	{"PNG", begins("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode},
	{"WebP", func(file []byte) bool {
		return len(file) >= 12 && string(file[:4]) == "RIFF" && string(file[8:12]) == "WEBP"
	}, webp.DecodeConfig, webp.Decode},
}

func begins(with string) func([]byte) bool {
	return func(file []byte) bool { return bytes.HasPrefix(file, []byte(with)) }
}

// drawn is a picture written anew.
type drawn struct {
	typ           string
	width, height int
	whole, small  []byte
}

// drawing bounds how many pictures are drawn at the same time: each may take some hundred
// megabytes.
var drawing = make(chan struct{}, 2)

// redraw decodes a picture and writes it anew, upright, with a small one: place and camera,
// comments and whatever else the file carried are not in it. What is no such picture is a
// problem of the field picture.
func redraw(ctx context.Context, file []byte) (drawn, error) {
	f, err := formatOf(file)
	if err != nil {
		return drawn{}, err
	}
	select {
	case drawing <- struct{}{}:
		defer func() { <-drawing }()
	case <-ctx.Done():
		return drawn{}, ctx.Err()
	}
	im, err := f.decode(bytes.NewReader(file))
	if err != nil {
		return drawn{}, wrong("begins as %s and cannot be read to its end as one", f.name)
	}
	if f.name == "JPEG" {
		im = upright(im, orientation(file))
	}
	return drawAs(f, im)
}

// formatOf a file that may be decoded.
func formatOf(file []byte) (format, error) {
	if len(file) == 0 {
		return format{}, wrong("missing")
	}
	if len(file) > maxUpload {
		return format{}, wrong("has more than %d MB", maxUpload>>20)
	}
	for _, f := range formats {
		if !f.begins(file) {
			continue
		}
		c, err := f.size(bytes.NewReader(file))
		switch {
		case err != nil:
			return f, wrong("begins as %s and cannot be read as one", f.name)
		case c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels:
			return f, wrong("has %d x %d pixels; up to %d of a side and %d million in all are taken", c.Width, c.Height, maxSide, maxPixels/1_000_000)
		}
		return f, nil
	}
	return format{}, wrong("is neither JPEG nor PNG nor WebP")
}

func wrong(what string, a ...any) error {
	return core.Problems{{Field: "picture", What: fmt.Sprintf(what, a...)}}
}

// drawAs writes a picture: what lost nothing so far loses nothing now.
func drawAs(f format, im image.Image) (drawn, error) {
	size := im.Bounds().Size()
	d := drawn{typ: typePNG, width: size.X, height: size.Y}
	if _, lossy := im.(*image.YCbCr); lossy || f.name == "JPEG" {
		d.typ = typeJPEG
	}
	var b bytes.Buffer
	var err error
	if d.typ == typeJPEG {
		err = jpeg.Encode(&b, im, &jpeg.Options{Quality: quality})
	} else {
		err = png.Encode(&b, im)
	}
	if err != nil {
		return d, fmt.Errorf("write a picture: %w", err)
	}
	if b.Len() > maxDrawn {
		return d, wrong("is too large: written anew it has more than %d MB", maxDrawn>>20)
	}
	d.whole = b.Bytes()
	d.small, err = smallOf(im)
	return d, err
}

// smallOf is a JPEG of at most smallSide pixels a side; what is transparent is white.
func smallOf(im image.Image) ([]byte, error) {
	size := im.Bounds().Size()
	if longer := max(size.X, size.Y); longer > smallSide {
		size = image.Pt(max(1, size.X*smallSide/longer), max(1, size.Y*smallSide/longer))
	}
	to := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(to, to.Bounds(), image.White, image.Point{}, draw.Src)
	draw.BiLinear.Scale(to, to.Bounds(), im, im.Bounds(), draw.Over, nil)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, to, &jpeg.Options{Quality: smallQuality}); err != nil {
		return nil, fmt.Errorf("write a small picture: %w", err)
	}
	return b.Bytes(), nil
}

// upright turns a picture as EXIF's orientation (1 to 8) says, since that is lost with the
// rest of EXIF.
func upright(im image.Image, orientation int) image.Image {
	if orientation < 2 || orientation > 8 {
		return im
	}
	b := im.Bounds()
	w, h := float64(b.Dx()), float64(b.Dy())
	// Where a point of the picture goes: x' = a x + b y + c, y' = d x + e y + f.
	turn := [...]f64.Aff3{
		2: {-1, 0, w, 0, 1, 0}, 3: {-1, 0, w, 0, -1, h}, 4: {1, 0, 0, 0, -1, h},
		5: {0, 1, 0, 1, 0, 0}, 6: {0, -1, h, 1, 0, 0}, 7: {0, -1, h, -1, 0, w}, 8: {0, 1, 0, -1, 0, w},
	}[orientation]
	to := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	if orientation >= 5 {
		to = image.NewRGBA(image.Rect(0, 0, b.Dy(), b.Dx()))
	}
	draw.NearestNeighbor.Transform(to, turn, im, b, draw.Src, nil)
	return to
}

// orientation of a JPEG by its EXIF: 1 to 8, and 1 if nothing says so.
func orientation(file []byte) int {
	for at := 2; at+4 <= len(file) && file[at] == 0xff; {
		kind, length := file[at+1], int(binary.BigEndian.Uint16(file[at+2:]))
		switch {
		case kind == 0xff: // a byte that fills
			at++
			continue
		case kind == 0xda || kind == 0xd9 || length < 2 || at+2+length > len(file):
			return 1
		}
		segment := file[at+4 : at+2+length]
		if tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); kind == 0xe1 && ok {
			return orientationOf(tiff)
		}
		at += 2 + length
	}
	return 1
}

// orientationOf is the value of tag 0x0112 in the first directory of a TIFF, as EXIF is one.
func orientationOf(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if string(tiff[:2]) == "II" {
		order = binary.LittleEndian
	}
	directory := int64(order.Uint32(tiff[4:]))
	if directory+2 > int64(len(tiff)) {
		return 1
	}
	entries := tiff[directory+2:]
	for range order.Uint16(tiff[directory:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x0112 {
			if o := int(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

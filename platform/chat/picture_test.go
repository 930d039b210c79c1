package chat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hishub/core"
)

// canvas is red in its upper left quarter, green in its upper right, and blue below.
func canvas(w, h int) *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{0, 0, 255, 255}
			if y < h/2 && x < w/2 {
				c = color.RGBA{255, 0, 0, 255}
			} else if y < h/2 {
				c = color.RGBA{0, 255, 0, 255}
			}
			im.Set(x, y, c)
		}
	}
	return im
}

func photo(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, canvas(w, h), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func drawing8(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, canvas(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withEXIF puts an EXIF segment with an orientation and a place into a JPEG.
func withEXIF(file []byte, order binary.AppendByteOrder, orientation uint16) []byte {
	tiff := []byte("MM\x00*")
	if order == binary.LittleEndian {
		tiff = []byte("II*\x00")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	tiff = order.AppendUint16(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x010f), 2), 4), 0)
	tiff = append(tiff, 0, 0)
	tiff = order.AppendUint16(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0112), 3), 1), orientation)
	tiff = append(tiff, 0, 0, 0, 0, 0, 0)
	tiff = append(tiff, "GPS 31.2304N 121.4737E"...)
	segment := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(segment)+2))...)
	return append(append(out, segment...), file[2:]...)
}

// Each format is told by its content, drawn anew without what else was in the file, and
// has a small one.
func TestPicturesAreDrawnAnew(t *testing.T) {
	webp := func(name string) []byte {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	big := photo(t, 1200, 600)
	for name, c := range map[string]struct {
		file          []byte
		typ           string
		width, height int
	}{
		"JPEG": {big, typeJPEG, 1200, 600}, "PNG": {drawing8(t, 40, 30), typePNG, 40, 30}, "WebP": {webp("lossy.webp"), typeJPEG, 32, 24},
		"WebP without loss": {webp("lossless.webp"), typePNG, 32, 24}, "WebP, transparent": {webp("transparent.webp"), typePNG, 32, 24}, "with EXIF": {withEXIF(big, binary.BigEndian, 1), typeJPEG, 1200, 600},
		"with something behind it": {append(bytes.Clone(big), "<script>alert('GPS')</script>"...), typeJPEG, 1200, 600},
	} {
		d, err := redraw(t.Context(), c.file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.typ != c.typ || d.width != c.width || d.height != c.height {
			t.Errorf("%s: %s %d x %d", name, d.typ, d.width, d.height)
		}
		for _, part := range [][]byte{d.whole, d.small} {
			if bytes.Contains(part, []byte("Exif")) || bytes.Contains(part, []byte("GPS")) {
				t.Errorf("%s: what else was in the file is in the new one", name)
			}
			if _, _, err := image.Decode(bytes.NewReader(part)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		small, err := jpeg.DecodeConfig(bytes.NewReader(d.small))
		if err != nil || max(small.Width, small.Height) > smallSide || small.Width*c.height != small.Height*c.width {
			t.Errorf("%s: the small one has %d x %d, %v", name, small.Width, small.Height, err)
		}
	}
}

// A picture stands as its EXIF says, since that is lost. Each orientation is the upright
// picture turned the other way.
func TestPicturesAreUpright(t *testing.T) {
	const w, h = 64, 32
	stored := map[uint16]func(x, y int) (int, int){ // where a point of the upright picture lies in the file
		1: func(x, y int) (int, int) { return x, y }, 2: func(x, y int) (int, int) { return w - 1 - x, y }, 3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		4: func(x, y int) (int, int) { return x, h - 1 - y }, 5: func(x, y int) (int, int) { return y, x }, 6: func(x, y int) (int, int) { return y, w - 1 - x },
		7: func(x, y int) (int, int) { return h - 1 - y, w - 1 - x }, 8: func(x, y int) (int, int) { return h - 1 - y, x },
	}
	for orientation, at := range stored {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			file := image.NewRGBA(image.Rect(0, 0, w, h))
			if orientation >= 5 {
				file = image.NewRGBA(image.Rect(0, 0, h, w))
			}
			want := canvas(w, h)
			for y := range h {
				for x := range w {
					to, down := at(x, y)
					file.Set(to, down, want.At(x, y))
				}
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, file, &jpeg.Options{Quality: 100}); err != nil {
				t.Fatal(err)
			}
			d, err := redraw(t.Context(), withEXIF(b.Bytes(), order, orientation))
			if err != nil {
				t.Fatal(err)
			}
			im, err := jpeg.Decode(bytes.NewReader(d.whole))
			if err != nil || im.Bounds() != want.Bounds() {
				t.Fatalf("orientation %d: %v, %v", orientation, im.Bounds(), err)
			}
			for _, at := range []image.Point{{4, 4}, {w - 4, 4}, {4, h - 4}, {w - 4, h - 4}} {
				r, g, b, _ := im.At(at.X, at.Y).RGBA()
				r0, g0, b0, _ := want.At(at.X, at.Y).RGBA()
				if far(r, r0) || far(g, g0) || far(b, b0) {
					t.Errorf("orientation %d, %s: %d %d %d at %v", orientation, order, r>>8, g>>8, b>>8, at)
				}
			}
		}
	}
}

func far(a, b uint32) bool { return max(a, b)-min(a, b) > 0x2000 }

// chunk of a PNG.
func chunk(kind string, content []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	named := append([]byte(kind), content...)
	return binary.BigEndian.AppendUint32(append(out, named...), crc32.ChecksumIEEE(named))
}

// What is no picture, or asks for too much, is refused with what is wrong.
func TestWhatIsNoPicture(t *testing.T) {
	huge := func(w, h uint32) []byte {
		head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
		return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 2, 0, 0, 0))...)
	}
	good := photo(t, 64, 64)
	for name, c := range map[string]struct {
		file []byte
		what string
	}{
		"nothing": {nil, "missing"}, "SVG": {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "neither"}, "GIF": {[]byte("GIF89a\x01\x00\x01\x00"), "neither"},
		"too many bytes": {append(bytes.Clone(good), make([]byte, maxUpload)...), "10 MB"}, "cut off": {good[:len(good)-20], "to its end"}, "only begins": {good[:20], "cannot be read as one"},
		"too wide": {huge(50_000, 10), "50000 x 10 pixels"}, "too many pixels": {huge(6_000, 6_000), "6000 x 6000 pixels"}, "a PNG without content": {huge(100, 100), "to its end"},
		"RIFF but no WebP": {[]byte("RIFF\x04\x00\x00\x00WAVE"), "neither"}, "WebP of nothing": {[]byte("RIFF\x04\x00\x00\x00WEBP"), "cannot be read as one"},
	} {
		var ps core.Problems
		if _, err := redraw(t.Context(), c.file); !errors.As(err, &ps) || ps[0].Field != "picture" || !strings.Contains(ps[0].What, c.what) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPicture: no file makes it fail otherwise than by a problem, and what comes out can be
// read and has no EXIF.
func FuzzPicture(f *testing.F) {
	f.Add(photo(f, 8, 8))
	f.Add(withEXIF(photo(f, 8, 8), binary.LittleEndian, 6))
	f.Add(drawing8(f, 8, 8))
	for _, name := range []string{"lossy.webp", "lossless.webp", "transparent.webp"} {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if form, err := formatOf(file); err == nil {
			if c, err := form.size(bytes.NewReader(file)); err == nil && c.Width*c.Height > 1_000_000 {
				return // allowed, and slow
			}
		}
		d, err := redraw(context.Background(), file)
		var ps core.Problems
		if err != nil {
			if !errors.As(err, &ps) {
				t.Fatal(err)
			}
			return
		}
		im, _, err := image.Decode(bytes.NewReader(d.whole))
		if err != nil || im.Bounds().Dx() != d.width || im.Bounds().Dy() != d.height || bytes.Contains(d.whole, []byte("Exif\x00\x00")) {
			t.Fatalf("written anew: %v", err)
		}
	})
}

// FuzzOrientation: nothing makes it fail, and it is one of eight.
func FuzzOrientation(f *testing.F) {
	for _, o := range []uint16{0, 1, 6, 9} {
		f.Add(withEXIF(photo(f, 4, 4), binary.BigEndian, o))
		f.Add(withEXIF(photo(f, 4, 4), binary.LittleEndian, o))
	}
	f.Add([]byte("\xff\xd8\xff\xff\xff\xe1\x00\x02"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if o := orientation(file); o < 1 || o > 8 {
			t.Errorf("%d", o)
		}
	})
}

package mapping

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxFolder bounds a hospital folder, in bytes of all files.
const maxFolder = 32 << 20

// Archive packs a folder as it is stored with a revision. The digest is of the
// files' names and content alone: the same folder has it on every machine.
func Archive(folder fs.FS) (archive []byte, digest string, err error) {
	var names []string
	err = fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && hidden(name) && d.IsDir():
			return fs.SkipDir
		case d.IsDir() || hidden(name):
			return nil
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("pack the folder: %w", err)
	}
	slices.Sort(names)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	sum, total := sha256.New(), 0
	for _, name := range names {
		data, err := readRegular(folder, name)
		if err != nil {
			return nil, "", fmt.Errorf("pack the folder: %w", err)
		}
		if total += len(data); total > maxFolder {
			return nil, "", fmt.Errorf("pack the folder: it is larger than %d MiB", maxFolder>>20)
		}
		fmt.Fprintf(sum, "%d:%s %d:", len(name), name, len(data))
		sum.Write(data)
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			return nil, "", fmt.Errorf("pack the folder: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, "", fmt.Errorf("pack the folder: %w", err)
	}
	return out.Bytes(), hex.EncodeToString(sum.Sum(nil)), nil
}

// Unpack opens an archived folder.
func Unpack(archive []byte) (fs.FS, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("unpack a hospital folder: %w", err)
	}
	total := uint64(0)
	for _, f := range z.File {
		if total += f.UncompressedSize64; total > maxFolder {
			return nil, errors.New("unpack a hospital folder: it is too large")
		}
	}
	return z, nil
}

// readRegular reads a file of the folder, also over a link that stays in it, but
// nothing endless.
func readRegular(folder fs.FS, name string) ([]byte, error) {
	if err := stays(folder, name); err != nil {
		return nil, err
	}
	info, err := fs.Stat(folder, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxFolder:
		return nil, fmt.Errorf("%s is larger than a folder may be", name)
	}
	return fs.ReadFile(folder, name)
}

// maxLinks bounds the links to one file, which may lead to each other.
const maxLinks = 40

// stays reports a file that is reached over a link out of the folder: what is there
// is not the hospital's, and would be stored with its revision.
func stays(folder fs.FS, name string) error {
	if _, ok := folder.(fs.ReadLinkFS); !ok {
		return nil // as an archive, which follows no links
	}
	links := 0
	at, left := ".", strings.Split(name, "/")
	for len(left) > 0 {
		next := path.Join(at, left[0])
		left = left[1:]
		info, err := fs.Lstat(folder, next)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		to, err := fs.ReadLink(folder, next)
		if err != nil {
			return err
		}
		if links++; links > maxLinks {
			return fmt.Errorf("%s is a link in a circle; put the file itself there", next)
		}
		target := path.Join(at, filepath.ToSlash(to))
		if filepath.IsAbs(to) || !fs.ValidPath(target) {
			return fmt.Errorf("%s is a link that leaves the folder; put a copy of the file there, or a relative link to a file of the folder", next)
		}
		at, left = ".", append(strings.Split(target, "/"), left...)
	}
	return nil
}

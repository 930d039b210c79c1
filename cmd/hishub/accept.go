package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hishub/mapping"
)

// allSame accepts each case that says what its sample says.
const allSame = "same"

// accept saves what a folder writes for the named cases as their request.*. With
// force a request.* that is there is replaced.
func accept(dir string, files fs.FS, names []string, force bool) error {
	f, err := loadCases(files)
	var mistakes mapping.Mistakes
	switch {
	case errors.As(err, &mistakes):
		return nil // the check lists them; nothing can be said as long as there are some
	case err != nil:
		return inFolder(dir, err)
	}
	for _, name := range names {
		if name != allSame {
			if err := acceptCase(f, dir, name, force); err != nil {
				return err
			}
			continue
		}
		for _, name := range f.CaseNames() {
			if err := acceptSame(f, dir, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// acceptSame keeps what somebody else recorded: there is nothing to review.
func acceptSame(f *mapping.Folder, dir, name string) error {
	found, err := f.Unaccepted(name, false)
	if err != nil {
		return nil //nolint:nilerr // the check says why, beside everything else
	}
	for _, u := range found {
		if u.Sample == "" || u.Differs != "" {
			continue
		}
		if err := keep(dir, name, u); err != nil {
			return err
		}
	}
	return nil
}

func acceptCase(f *mapping.Folder, dir, name string, force bool) error {
	found, err := f.Unaccepted(name, force)
	switch {
	case err != nil:
		return fmt.Errorf("accept %s: %w", name, err)
	case len(found) == 0 && force:
		return fmt.Errorf("accept %s: its request.* is what is sent already", name)
	case len(found) == 0:
		return fmt.Errorf("accept %s: its request.* is there already; where what is sent is right and the file is not, say --force", name)
	}
	for _, u := range found {
		if err := keep(dir, name, u); err != nil {
			return err
		}
	}
	return nil
}

// keep saves a request. A sample that says the same is not needed any more.
func keep(dir, name string, u mapping.Unaccepted) error {
	at := filepath.Join(dir, "cases", name)
	if err := os.WriteFile(filepath.Join(at, u.File), u.Wrote, 0o644); err != nil { //nolint:gosec // a case holds no secret
		return fmt.Errorf("accept: %w", err)
	}
	said := ""
	switch {
	case u.Sample != "" && u.Differs == "":
		said = ", which says what " + u.Sample + " said"
		if err := os.Remove(filepath.Join(at, u.Sample)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("accept: %w", err)
		}
	case u.Sample != "":
		said = ", which differs from " + u.Sample
	}
	fmt.Printf("accepted %s/%s%s\n", name, u.File, said)
	return nil
}

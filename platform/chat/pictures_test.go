package chat

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hishub/core"
	"hishub/platform/clinic"
)

func uploaded(t *testing.T, s *Service, p clinic.Person, no, id string, file []byte) Picture {
	t.Helper()
	k, err := s.Upload(t.Context(), p, no, id, file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A picture is its uploader's until it is sent; then those who are in the conversation see
// it, and nobody else, also not in another conversation of theirs.
func TestWhoSeesAPicture(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	k := uploaded(t, s, patient, no, "a", photo(t, 600, 300))
	if k.Type != typeJPEG || k.Width != 600 || k.Height != 300 || k.Size == 0 || k.At.IsZero() {
		t.Errorf("%+v", k)
	}
	if v, err := s.Look(ctx, patient, no, k.No, whole); err != nil || len(v.Content) != k.Size {
		t.Errorf("the uploader: %v", err)
	}
	hidden := func(who string, p clinic.Person, conversation string) {
		t.Helper()
		for _, part := range []string{whole, small} {
			if _, err := s.Look(ctx, p, conversation, k.No, part); !errors.Is(err, clinic.ErrNotFound) {
				t.Errorf("%s sees the %s picture: %v", who, part, err)
			}
		}
	}
	hidden("the doctor, before it is sent", doctor, no)
	hidden("a stranger", stranger, no)
	var ps core.Problems
	if _, err := s.Send(ctx, doctor, no, New{ClientID: "x", Kind: Image, Image: k.No}); !errors.As(err, &ps) {
		t.Errorf("the doctor sends the patient's picture: %v", err)
	}
	m, err := s.Send(ctx, patient, no, New{ClientID: "m", Kind: Image, Image: k.No})
	if err != nil || m.Image != k.No {
		t.Fatalf("%+v, %v", m, err)
	}
	for part, typ := range map[string]string{whole: typeJPEG, small: typeJPEG} {
		if v, err := s.Look(ctx, doctor, no, k.No, part); err != nil || v.Type != typ || len(v.Content) == 0 {
			t.Errorf("the doctor, %s: %v", part, err)
		}
	}
	hidden("a stranger, after it was sent", stranger, no)
	other := open(t, s, "CS2")
	hidden("the doctor, in another conversation", doctor, other)
	if _, err := s.Send(ctx, patient, other, New{ClientID: "m", Kind: Image, Image: k.No}); !errors.As(err, &ps) {
		t.Errorf("sent in another conversation: %v", err)
	}
	// A number of a picture in a text is nothing.
	if m, err := s.Send(ctx, doctor, no, New{ClientID: "t", Kind: Text, Text: "好", Image: k.No}); err != nil || m.Image != "" {
		t.Errorf("%+v, %v", m, err)
	}
}

// Uploaded again it is the same picture, also by two at once and when the conversation is
// over; another file under the same client id is refused.
func TestUploadsAreOnce(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	file := photo(t, 100, 80)
	var all sync.WaitGroup
	numbers := make([]string, 6)
	for i := range numbers {
		all.Go(func() {
			k, err := s.Upload(ctx, patient, no, "a", file)
			if err != nil {
				t.Error(err)
			}
			numbers[i] = k.No
		})
	}
	all.Wait()
	var rows, parts int
	if err := s.Database.QueryRow(ctx, `select (select count(*) from chat.picture), (select count(*) from chat.picture_bytes)`).Scan(&rows, &parts); err != nil || rows != 1 || parts != 2 {
		t.Errorf("%d pictures in %d parts, %v", rows, parts, err)
	}
	for _, n := range numbers {
		if n != numbers[0] || n == "" {
			t.Errorf("numbers %v", numbers)
		}
	}
	if _, err := s.Upload(ctx, patient, no, "a", photo(t, 100, 81)); !errors.Is(err, clinic.ErrState) {
		t.Errorf("another file: %v", err)
	}
	if k := uploaded(t, s, doctor, no, "a", file); k.No == numbers[0] {
		t.Error("the doctor's picture is the patient's")
	}
	if _, err := s.Database.Exec(ctx, `update chat.conversation set closed_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	if k := uploaded(t, s, patient, no, "a", file); k.No != numbers[0] {
		t.Error("after the end a repeat is another picture")
	}
	if _, err := s.Upload(ctx, patient, no, "b", file); !errors.Is(err, clinic.ErrState) {
		t.Errorf("after the end: %v", err)
	}
	var ps core.Problems
	for name, file := range map[string][]byte{"nothing": nil, "text": []byte("hello")} {
		if _, err := s.Upload(ctx, doctor, open(t, s, "CS2"), name, file); !errors.As(err, &ps) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// More than so many of one person are refused.
func TestNotTooManyPictures(t *testing.T) {
	s, no := opened(t)
	if _, err := s.Database.Exec(t.Context(), `insert into chat.picture (no, conversation, account, client_id, digest, type, width, height, size)
		select 'CI' || i, $1, $2, i, '', 'image/png', 1, 1, 1 from generate_series(1, $3::int) i`, no, patient.Account, maxPictures-1); err != nil {
		t.Fatal(err)
	}
	uploaded(t, s, patient, no, "a", photo(t, 4, 4))
	if _, err := s.Upload(t.Context(), patient, no, "b", photo(t, 4, 4)); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("one more: %v", err)
	}
	uploaded(t, s, doctor, no, "a", photo(t, 4, 4))
}

// What is not sent within a day is taken away, and cannot be sent; what was sent stays.
func TestUnsentPicturesGo(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	sentOne, old, fresh := uploaded(t, s, patient, no, "a", photo(t, 4, 4)), uploaded(t, s, patient, no, "b", photo(t, 4, 4)), uploaded(t, s, patient, no, "c", photo(t, 4, 4))
	if _, err := s.Send(ctx, patient, no, New{ClientID: "m", Kind: Image, Image: sentOne.No}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Picture{sentOne, old} {
		for table, key := range map[string]string{"chat.picture": "no", "chat.picture_bytes": "picture"} {
			if _, err := s.Database.Exec(ctx, fmt.Sprintf(`update %s set at = at - interval '25 hours' where %s = $1`, table, key), k.No); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, no2 := range []string{sentOne.No, old.No} {
		if _, err := s.Send(ctx, patient, no, New{ClientID: no2, Kind: Image, Image: no2}); !errors.Is(err, clinic.ErrState) {
			t.Errorf("sent after a day: %v", err)
		}
	}
	for range 2 {
		if err := s.unsent(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for k, there := range map[Picture]bool{sentOne: true, old: false, fresh: true} {
		_, err := s.Look(ctx, patient, no, k.No, whole)
		if there && err != nil || !there && !errors.Is(err, clinic.ErrNotFound) {
			t.Errorf("%s: %v, should be there: %v", k.No, err, there)
		}
	}
	var parts int
	if err := s.Database.QueryRow(ctx, `select count(*) from chat.picture_bytes`).Scan(&parts); err != nil || parts != 4 {
		t.Errorf("%d parts are left, %v", parts, err)
	}
}

// What is kept of a picture opens for nothing else.
func TestPicturesAreSealed(t *testing.T) {
	s, no := opened(t)
	ctx := t.Context()
	a, b := uploaded(t, s, patient, no, "a", photo(t, 4, 4)), uploaded(t, s, patient, no, "b", photo(t, 4, 5))
	if _, err := s.Database.Exec(ctx, `update chat.picture_bytes set sealed = (select sealed from chat.picture_bytes where picture = $2 and part = 'whole') where picture = $1 and part = 'whole'`, a.No, b.No); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Look(ctx, patient, no, a.No, whole); err == nil || errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another's bytes under this number: %v", err)
	}
}

// Over HTTP a picture is shown as what it is, stored nowhere, and in the audit.
func TestPicturesOverHTTP(t *testing.T) {
	s, no := opened(t)
	people := &sessions{of: map[string]clinic.Person{"p": patient, "d": doctor, "x": stranger}}
	mux := http.NewServeMux()
	document := humago.New(mux, huma.DefaultConfig("t", "1"))
	s.Routes(&clinic.API{Huma: document, People: people, Trail: people})
	if answer := document.OpenAPI().Paths[clinic.Prefix+"/conversations/{no}/pictures/{picture}"].Get.Responses["200"]; len(answer.Content) != 2 || answer.Content[typeJPEG].Schema.Format != "binary" {
		t.Errorf("the document says %+v", answer.Content)
	}
	ask := func(token, method, path, typ string, body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, clinic.Prefix+"/conversations/"+no+path, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", typ)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	if w := ask("p", "POST", "/pictures?client_id=a", "image/jpeg", photo(t, 60, 40)); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	k := uploaded(t, s, patient, no, "a", photo(t, 60, 40))
	if w := ask("p", "POST", "/messages", "application/json", []byte(`{"client_id":"m","kind":"image","image":"`+k.No+`"}`)); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := ask("d", "GET", "/pictures/"+k.No, "", nil)
	for name, want := range map[string]string{"Content-Type": "image/jpeg", "Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if w.Code != 200 || w.Body.Len() != k.Size {
		t.Errorf("%d, %d bytes of %d", w.Code, w.Body.Len(), k.Size)
	}
	for name, c := range map[string]struct {
		token, method, path, typ string
		body                     []byte
		status                   int
	}{
		"a stranger": {"x", "GET", "/pictures/" + k.No, "", nil, 404}, "a number of nothing": {"d", "GET", "/pictures/CI9", "", nil, 404}, "nobody": {"", "GET", "/pictures/" + k.No, "", nil, 401},
		"no such part": {"d", "GET", "/pictures/" + k.No + "?part=large", "", nil, 422}, "no client id": {"p", "POST", "/pictures", "image/png", photo(t, 4, 4), 422},
		"no picture": {"p", "POST", "/pictures?client_id=b", "image/png", []byte("<svg/>"), 422}, "too large": {"p", "POST", "/pictures?client_id=b", "image/png", make([]byte, maxUpload+1), 413},
	} {
		if w := ask(c.token, c.method, c.path, c.typ, c.body); w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	var verbs []string
	for _, a := range people.acts {
		if len(a.Patients) != 1 || a.Patients[0] != "P1" || a.Hospital != "h1" {
			t.Errorf("whose it is: %+v", a)
		}
		verbs = append(verbs, a.Verb+" "+a.Subject)
	}
	if want := []string{"clinic-picture-upload conversation " + no, "clinic-message-send conversation " + no, "clinic-picture conversation " + no + " picture " + k.No}; fmt.Sprint(verbs) != fmt.Sprint(want) {
		t.Errorf("%v", verbs)
	}
}

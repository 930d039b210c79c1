package soap

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"os"
	"testing"

	"hishub/core"
)

// What node's soap client writes with its WSSecurity (PasswordDigest of "secret")
// reaches the rule verify, whatever HTTP headers stand beside it.
func TestAUsernameTokenOfACaller(t *testing.T) {
	body, err := os.ReadFile("testdata/recipe/digest.node-soap-1.13.0.xml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(core.ListenerSpec{Name: "notice", Options: map[string]any{"wsdl": "recipe.wsdl"}, Files: os.DirFS("testdata/recipe"), Calls: []string{"SaveRecipe"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Wire.Read(core.Incoming{Method: http.MethodPost, Path: "/", Body: body, Headers: tree{f("soap_header", "forged")}})
	if err != nil {
		t.Fatal(err)
	}
	blocks, _ := a.Headers.Get("soap_header").(tree)
	security, _ := blocks.Get("Security").(tree)
	token, _ := security.Get("UsernameToken").(tree)
	text := func(name string) string { s, _ := core.Text(token.Get(name)); return s }
	nonce, err := base64.StdEncoding.DecodeString(text("Nonce"))
	if err != nil || len(nonce) == 0 {
		t.Fatal(token, err)
	}
	sum := sha1.Sum(append(nonce, text("Created")+"secret"...))
	if got := base64.StdEncoding.EncodeToString(sum[:]); text("Username") != "hub" || got != text("Password") {
		t.Errorf("%s is not %s", got, text("Password"))
	}
}

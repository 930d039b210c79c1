package functions_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"

	"hishub/mapping/functions"
)

var all = func() map[string]functions.Function {
	byName := map[string]functions.Function{}
	for _, f := range functions.For(shanghai) {
		byName[f.Name] = f
	}
	return byName
}()

func call(t interface {
	Helper()
	Fatalf(string, ...any)
}, name string, args ...any) any {
	t.Helper()
	out, err := all[name].Call(args...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestDigestsOfTheStandards(t *testing.T) {
	const want = "what do ya want for nothing?"
	for _, v := range []struct{ name, data, key, sum, source string }{
		{"md5", "abc", "", "900150983cd24fb0d6963f7d28e17f72", "RFC 1321"},
		{"sha1", "abc", "", "a9993e364706816aba3e25717850c26c9cd0d89d", "RFC 3174"},
		{"sha256", "abc", "", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "FIPS 180-4"},
		{"sm3", "abc", "", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0", "GB/T 32905"},
		{"sm3", strings.Repeat("abcd", 16), "", "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732", "GB/T 32905"},
		{"hmac_md5", want, "Jefe", "750c783e6ab0b503eaa86e310a5db738", "RFC 2202"},
		{"hmac_sha256", want, "Jefe", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "RFC 4231"},
		{"md5", "张三测试", "", call(t, "md5", []byte("张三测试")).(string), "text is UTF-8"},
	} {
		args := []any{v.data}
		if v.key != "" {
			args = append(args, v.key)
		}
		if got := call(t, v.name, args...); got != v.sum {
			t.Errorf("%s (%s) = %v", v.name, v.source, got)
		}
	}
	if _, err := all["hmac_sm3"].Call("data", ""); err == nil {
		t.Error("hmac_sm3 signs with an empty key")
	}
}

// RFC 2104 written out once more, as there is no published vector for SM3.
func TestHMACWithSM3(t *testing.T) {
	pad := func(x byte) []byte {
		block := bytes.Repeat([]byte{x}, 64)
		for i, c := range []byte("Jefe") {
			block[i] ^= c
		}
		return block
	}
	inner := sm3.Sum(append(pad(0x36), "data"...))
	outer := sm3.Sum(append(pad(0x5c), inner[:]...))
	if got := call(t, "hmac_sm3", "data", "Jefe"); got != hex.EncodeToString(outer[:]) {
		t.Errorf("hmac_sm3 = %v", got)
	}
}

// One block of the standard; the second is PKCS#7 of nothing.
func TestCiphersOfTheStandards(t *testing.T) {
	for _, v := range []struct{ name, key, iv, plain, sealed, source string }{
		{"aes_ecb", "000102030405060708090a0b0c0d0e0f", "", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a", "FIPS 197 C.1"},
		{"aes_ecb", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "", "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089", "FIPS 197 C.3"},
		{"aes_cbc", "2b7e151628aed2a6abf7158809cf4f3c", "000102030405060708090a0b0c0d0e0f", "6bc1bee22e409f96e93d7e117393172a", "7649abac8119b246cee98e9b12e9197d", "SP 800-38A F.2.1"},
		{"des_ecb", "133457799bbcdff1", "", "0123456789abcdef", "85e813540f0ab405", "FIPS 46"},
		{"des3_ecb", "0123456789abcdef23456789abcdef01456789abcdef0123", "", hex.EncodeToString([]byte("The qufck brown fox jump")), "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900", "SP 800-67 B.1"},
		{"des3_ecb", "133457799bbcdff1133457799bbcdff1", "", "0123456789abcdef", "85e813540f0ab405", "two equal keys are DES"},
		{"sm4_ecb", "0123456789abcdeffedcba9876543210", "", "0123456789abcdeffedcba9876543210", "681edf34d206965e86b3e94f536e4246", "GB/T 32907 A.1"},
		{"sm4_cbc", "0123456789abcdeffedcba9876543210", "00000000000000000000000000000000", "0123456789abcdeffedcba9876543210", "681edf34d206965e86b3e94f536e4246", "GB/T 32907 A.1, chained to zeros"},
	} {
		args := []any{unhex(v.plain), unhex(v.key)}
		if v.iv != "" {
			args = append(args, unhex(v.iv))
		}
		got := call(t, v.name, args...).([]byte)
		if !bytes.HasPrefix(got, unhex(v.sealed)) || len(got) == len(unhex(v.sealed)) {
			t.Errorf("%s (%s) = %x", v.name, v.source, got)
		}
		args[0] = got
		if back := call(t, "from_"+v.name, args...); !bytes.Equal(back.([]byte), unhex(v.plain)) {
			t.Errorf("from_%s (%s) = %x", v.name, v.source, back)
		}
	}
}

func TestCiphersRefuse(t *testing.T) {
	key := "0123456789abcdef"
	sealed := call(t, "aes_ecb", "text", key).([]byte)
	// Without the block that the padding adds, what was sealed is taken for it.
	zeros := call(t, "aes_ecb", bytes.Repeat([]byte{0}, 16), key).([]byte)[:16]
	twoBlocks := call(t, "aes_ecb", bytes.Repeat([]byte{32}, 32), key).([]byte)[:32]
	uneven := call(t, "aes_ecb", "0123456789abcd\x01\x02", key).([]byte)[:16]
	for name, c := range map[string]struct {
		f    string
		args []any
		says string
	}{
		"a short key":         {"aes_ecb", []any{"text", "short"}, "the key has 5 bytes, not 16, 24 or 32"},
		"a short iv":          {"sm4_cbc", []any{"text", key, "iv"}, "the iv has 2 bytes, not 16"},
		"another key":         {"from_aes_ecb", []any{sealed, "fedcba9876543210"}, "do not open with this key"},
		"half a block":        {"from_aes_ecb", []any{sealed[:8], key}, "do not open with this key"},
		"no block":            {"from_aes_ecb", []any{[]byte{}, key}, "do not open with this key"},
		"padding of none":     {"from_aes_ecb", []any{zeros, key}, "do not open with this key"},
		"padding of two":      {"from_aes_ecb", []any{twoBlocks, key}, "do not open with this key"},
		"uneven padding":      {"from_aes_ecb", []any{uneven, key}, "do not open with this key"},
		"text":                {"from_aes_ecb", []any{"text", key}, "write from_base64(...)"},
		"a key that is none":  {"rsa_sign", []any{"text", "no key", "sha256"}, "neither PEM nor base64"},
		"a cert that is none": {"sm2", []any{"text", "no cert"}, "for SM2"},
	} {
		_, err := all[c.f].Call(c.args...)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

// GB/T 32918.5-2017 A.2, with the private key, the public key and the signature
// of the standard.
func TestSM2OfTheStandard(t *testing.T) {
	const (
		private = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
		public  = "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020" +
			"CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
		signature = "3046" +
			"022100F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3" +
			"022100B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
	)
	if call(t, "sm2_verify", "message digest", unhex(signature), public) != true {
		t.Error("the standard's signature is not accepted")
	}
	if call(t, "sm2_verify", "another message", unhex(signature), public) != false {
		t.Error("the standard's signature is accepted for another message")
	}
	if call(t, "sm2_verify", "message digest", nil, public) != false {
		t.Error("no signature is accepted")
	}
	own := call(t, "sm2_sign", "message digest", private)
	if call(t, "sm2_verify", "message digest", own, public) != true {
		t.Error("our own signature is not accepted")
	}
	if got := call(t, "from_sm2", call(t, "sm2", "测试一", public), private); string(got.([]byte)) != "测试一" {
		t.Errorf("from_sm2 = %q", got)
	}

	// The same key in the other forms it comes in.
	key, _ := sm2.NewPrivateKey(unhex(private))
	pkcs8, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := smx509.MarshalSM2PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := smx509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t, func(template *x509.Certificate) ([]byte, error) {
		return smx509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	})
	for _, k := range []string{framed("PRIVATE KEY", pkcs8), framed("EC PRIVATE KEY", sec1), base64.StdEncoding.EncodeToString(pkcs8)} {
		for _, c := range []string{framed("PUBLIC KEY", spki), framed("CERTIFICATE", cert), base64.StdEncoding.EncodeToString(cert)} {
			if call(t, "sm2_verify", "测试", call(t, "sm2_sign", "测试", k), c) != true {
				t.Errorf("signed with %.30s, not verified with %.30s", k, c)
			}
		}
	}
}

func TestRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t, func(template *x509.Certificate) ([]byte, error) {
		return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	})
	keys := []string{framed("PRIVATE KEY", pkcs8), framed("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), base64.StdEncoding.EncodeToString(pkcs8)}
	certs := []string{framed("PUBLIC KEY", spki), framed("CERTIFICATE", cert), framed("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey))}
	for i := range keys {
		for _, digest := range []string{"sha256", "sha1", "md5"} {
			signature := call(t, "rsa_sign", "测试", keys[i], digest)
			if call(t, "rsa_verify", "测试", signature, certs[i], digest) != true {
				t.Errorf("%s with %.30s: not verified", digest, keys[i])
			}
			if call(t, "rsa_verify", "测试 ", signature, certs[i], digest) != false {
				t.Errorf("%s with %.30s: verified for another text", digest, keys[i])
			}
		}
		for _, size := range []int{0, 1, 245, 246, 1000} {
			text := bytes.Repeat([]byte("x"), size)
			sealed := call(t, "rsa", text, certs[i]).([]byte)
			if got := call(t, "from_rsa", sealed, keys[i]); !bytes.Equal(got.([]byte), text) {
				t.Errorf("%d bytes come back as %d", size, len(got.([]byte)))
			}
		}
	}
	if call(t, "rsa_verify", "测试", nil, certs[0], "sha256") != false {
		t.Error("no signature is accepted")
	}
}

func certificate(t *testing.T, sign func(*x509.Certificate) ([]byte, error)) []byte {
	t.Helper()
	der, err := sign(&x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "his.test"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<31, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func framed(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// The rule of signing in which an empty value stays, and the one in which it is
// left out.
func TestSignatureOverASortedQuery(t *testing.T) {
	signed := tree("token", "9f", "msgid", "7a", "code", "RX001", "customid", nil, "clienttype", "third")
	for cell, want := range map[string]string{
		"sorted_query(answer.it)":                                      "clienttype=third&code=RX001&customid=&msgid=7a&token=9f",
		`sorted_query(answer.it, "drop_empty")`:                        "clienttype=third&code=RX001&msgid=7a&token=9f",
		`sorted_query(without(answer.it, "token", "code"))`:            "clienttype=third&customid=&msgid=7a",
		"query(answer.it)":                                             "token=9f&msgid=7a&code=RX001&customid=&clienttype=third",
		`md5(sorted_query(answer.it))`:                                 "710956816c43aebbd76f329bd83c9e85",
		`upper(md5(sorted_query(answer.it, "drop_empty") + "&key=k"))`: "F4D27648343C96211257E1D86EB6E484",
	} {
		if got := run(t, cell, signed); got != want {
			t.Errorf("%s = %v, want %s", cell, got, want)
		}
	}
}

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
		{"sha512", "abc", "", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", "FIPS 180-4"},
		{"sm3", "abc", "", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0", "GB/T 32905"},
		{"sm3", strings.Repeat("abcd", 16), "", "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732", "GB/T 32905"},
		{"hmac_md5", want, "Jefe", "750c783e6ab0b503eaa86e310a5db738", "RFC 2202"},
		{"hmac_sha1", want, "Jefe", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "RFC 2202"},
		{"hmac_sha512", want, "Jefe", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737", "RFC 4231"},
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
		{"des_cbc", "0123456789abcdef", "1234567890abcdef", hex.EncodeToString([]byte("Now is the time for all ")), "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6", "FIPS 81 table C1"},
		{"des3_cbc", "0123456789abcdef0123456789abcdef", "1234567890abcdef", hex.EncodeToString([]byte("Now is the time for all ")), "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6", "two equal keys are DES"},
		{"sm4_cbc", "0123456789abcdeffedcba9876543210", "000102030405060708090a0b0c0d0e0f", "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffaaaaaaaabbbbbbbb", "78ebb11cc40b0a48312aaeb2040244cb4cb7016951909226979b0d15dc6a8f6d", "draft-ribose-cfrg-sm4-10 A.2.2.1"},
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

func TestGCMOfTheStandards(t *testing.T) {
	const extra = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
	for _, v := range []struct{ name, key, nonce, plain, sealed, source string }{
		{"aes_gcm", "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091" + "5bc94fbc3221a5db94fae95ae7121a47",
			"McGrew and Viega, The Galois/Counter Mode of Operation, test case 4"},
		{"sm4_gcm", "0123456789abcdeffedcba9876543210", "00001234567800000000abcd",
			"aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
			"17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d" + "83de3541e4c2b58177e065a9bf7b62ec",
			"RFC 8998 A.1"},
	} {
		args := []any{unhex(v.plain), unhex(v.key), unhex(v.nonce), unhex(extra)}
		got := call(t, v.name, args...)
		if !bytes.Equal(got.([]byte), unhex(v.sealed)) {
			t.Errorf("%s (%s) = %x", v.name, v.source, got)
		}
		args[0] = got
		if back := call(t, "from_"+v.name, args...); !bytes.Equal(back.([]byte), unhex(v.plain)) {
			t.Errorf("from_%s = %x", v.name, back)
		}
		if _, err := all["from_"+v.name].Call(args[:3]...); err == nil {
			t.Errorf("from_%s opens without what was signed", v.name)
		}
		short := call(t, v.name, "text", unhex(v.key), unhex(v.nonce))
		if back := call(t, "from_"+v.name, short, unhex(v.key), unhex(v.nonce)); string(back.([]byte)) != "text" {
			t.Errorf("from_%s = %q", v.name, back)
		}
	}
}

func TestPaddings(t *testing.T) {
	const key = "0123456789abcdef"
	for _, c := range []struct {
		plain, padding string
		size           int
	}{{"text", "zero", 16}, {"0123456789abcdef", "zero", 16}, {"", "zero", 0}, {"0123456789abcdef", "none", 16}, {"0123456789abcdef", "pkcs7", 32}} {
		for _, f := range []string{"aes_ecb", "sm4_cbc"} {
			args := []any{c.plain, key}
			if f == "sm4_cbc" {
				args = append(args, key)
			}
			sealed := call(t, f, append(args, c.padding)...).([]byte)
			args[0] = sealed
			if got := call(t, "from_"+f, append(args, c.padding)...); string(got.([]byte)) != c.plain || len(sealed) != c.size {
				t.Errorf("%s of %q with %s: %q of %d bytes", f, c.plain, c.padding, got, len(sealed))
			}
		}
	}
	for says, args := range map[string][]any{"must be a multiple of 16": {"text", key, "none"}, "pads as": {"text", key, "pkcs5"}} {
		if _, err := all["aes_ecb"].Call(args...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

// RFC 7515 A.2: key, text and signature (RS256 is RSA2).
func TestRSAOfTheStandard(t *testing.T) {
	const (
		n         = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
		text      = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
		signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	)
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(call(t, "from_base64url", n).([]byte)), E: 65537}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := base64.StdEncoding.EncodeToString(spki)
	if call(t, "rsa_verify", text, call(t, "from_base64url", signature), cert, "sha256") != true {
		t.Error("the standard's signature is not accepted")
	}
	file := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	if call(t, "rsa_verify", text, call(t, "from_base64url", signature), file, "sha256") != true {
		t.Error("the base64 of the key's file is not taken")
	}
	if call(t, "rsa_verify", text+".", call(t, "from_base64url", signature), cert, "sha256") != false {
		t.Error("the standard's signature is accepted for another text")
	}
}

// GB/T 32918.5-2017 annex C, sealed with the key of its annex A.
func TestSM2CipherOfTheStandard(t *testing.T) {
	const (
		private = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
		public  = "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020" +
			"CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
		c1 = "0404EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73" +
			"E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0"
		c2 = "21886CA989CA9C7D58087307CA93092D651EFA"
		c3 = "59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766"
	)
	for form, args := range map[string][]any{
		"C1C3C2":            {unhex(c1 + c3 + c2), private},
		"said":              {unhex(c1 + c3 + c2), private, "c1c3c2"},
		"C1C2C3":            {unhex(c1 + c2 + c3), private, "c1c2c3"},
		"without 04":        {unhex(c1[2:] + c3 + c2), private},
		"C1C2C3 without 04": {unhex(c1[2:] + c2 + c3), private, "c1c2c3"},
		"own":               {call(t, "sm2", "encryption standard", public), private},
		"own C1C2C3":        {call(t, "sm2", "encryption standard", public, "c1c2c3"), private, "c1c2c3"},
		"own ASN.1":         {call(t, "sm2", "encryption standard", public, "asn1"), private, "asn1"},
		"ASN.1, not said":   {call(t, "sm2", "encryption standard", public, "asn1"), private},
	} {
		if got, err := all["from_sm2"].Call(args...); err != nil || string(got.([]byte)) != "encryption standard" {
			t.Errorf("%s: %q %v", form, got, err)
		}
	}
	for about, args := range map[string][]any{
		"another order": {unhex(c1 + c2 + c3), private, "c1c3c2"}, "nothing": {[]byte{}, private}, "cut": {unhex(c1), private},
	} {
		if _, err := all["from_sm2"].Call(args...); err == nil {
			t.Errorf("%s opens", about)
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
	raw := unhex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3" + "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")
	if call(t, "sm2_verify", "message digest", raw, public, "raw", "1234567812345678") != true {
		t.Error("the standard's signature is not accepted as r and s")
	}
	if call(t, "sm2_verify", "message digest", raw, public, "raw", "another") != false {
		t.Error("the standard's signature is accepted for another user")
	}
	if call(t, "sm2_verify", "message digest", raw, public) != false || call(t, "sm2_verify", "message digest", unhex(signature), public, "raw") != false {
		t.Error("a signature is accepted in another form than was said")
	}
	if own := call(t, "sm2_sign", "message digest", private, "raw", "clinic"); len(own.([]byte)) != 64 || call(t, "sm2_verify", "message digest", own, public, "raw", "clinic") != true {
		t.Error("our own r and s are not accepted")
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
		for _, digest := range []string{"sha256", "sha1", "sha512", "md5"} {
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
			for _, padding := range []string{"pkcs1", "oaep", "oaep_sha256"} {
				got := call(t, "from_rsa", call(t, "rsa", text, certs[i], padding), keys[i], padding)
				if !bytes.Equal(got.([]byte), text) {
					t.Errorf("%s: %d bytes come back as %d", padding, size, len(got.([]byte)))
				}
			}
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
		`sorted_query(answer.it, "drop_empty", "upper_names")`:         "CLIENTTYPE=third&CODE=RX001&MSGID=7a&TOKEN=9f",
		`sorted_query(answer.it, "values")`:                            "thirdRX0017a9f",
		"query(answer.it)":                                             "token=9f&msgid=7a&code=RX001&customid=&clienttype=third",
		`md5(sorted_query(answer.it))`:                                 "710956816c43aebbd76f329bd83c9e85",
		`upper(md5(sorted_query(answer.it, "drop_empty") + "&key=k"))`: "F4D27648343C96211257E1D86EB6E484",
	} {
		if got := run(t, cell, signed); got != want {
			t.Errorf("%s = %v, want %s", cell, got, want)
		}
	}
}

func TestUUIDsOfNames(t *testing.T) {
	const dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	for _, v := range []struct {
		args         []any
		want, source string
	}{
		{[]any{"www.example.com", dns}, "2ed6657d-e927-568b-95e1-2665a8aea6a2", "RFC 9562, A.4"},
		{[]any{"python.org", dns}, "886313e1-3b8a-5372-9b90-0c9aee199e5d", "the documentation of Python's uuid.uuid5"},
		{[]any{"https://hishub.example/rx|RX1"}, "64f06f89-446a-5304-82d9-bb82979193c2", "Python's uuid.uuid5(NAMESPACE_URL, …)"},
	} {
		if got := call(t, "uuid", v.args...); got != v.want {
			t.Errorf("%s: %s, want %s (%s)", v.args, got, v.want, v.source)
		}
	}
	for _, bad := range []string{"", "dns", "6ba7b810-9dad-11d1-80b4-00c04fd430", "zba7b810-9dad-11d1-80b4-00c04fd430c8"} {
		if out, err := all["uuid"].Call("a", bad); err == nil {
			t.Errorf("the namespace %q gives %v", bad, out)
		}
	}
}

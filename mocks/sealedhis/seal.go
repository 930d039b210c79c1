package sealedhis

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

const jsonType = "application/json;charset=UTF-8"

// seal holds the two keys, which are the same in both directions.
type seal struct {
	block cipher.Block
	key   string // of the signature
}

func newSeal(sealKey, signKey string) seal {
	raw, _ := hex.DecodeString(sealKey)
	block, err := sm4.NewCipher(raw)
	if err != nil {
		panic(err) // the options were checked
	}
	return seal{block, signKey}
}

// request is what came, opened.
type request struct {
	infno, msgid, operator string
	data                   input
}

// open verifies first and unseals then; words say what is wrong.
func (s seal) open(body []byte) (q request, words string) {
	outer, err := flat(body)
	if err != nil {
		return q, "报文格式错误"
	}
	q.infno, q.msgid, q.operator = outer["infno"], outer["msgid"], outer["opter"]
	if s.sign(outer) != outer["sign"] {
		return q, "验签失败"
	}
	plain, err := s.unseal(outer["input"], q.msgid)
	if err != nil {
		return q, "解密失败"
	}
	var inner struct{ Data string }
	if json.Unmarshal(plain, &inner) != nil || json.Unmarshal([]byte(inner.Data), &q.data) != nil {
		return q, "报文格式错误"
	}
	q.data.operator = q.operator
	return q, ""
}

// flat reads an object of texts, numbers and nulls as text.
func flat(body []byte) (map[string]string, error) {
	var raw map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, value := range raw {
		switch v := value.(type) {
		case nil:
		case string:
			out[name] = v
		case json.Number:
			out[name] = v.String()
		default:
			return nil, errors.New("not flat")
		}
	}
	return out, nil
}

// sign is SM3 in upper hex over what is not empty, but for the signature itself,
// by the byte order of names, and the key.
func (s seal) sign(fields map[string]string) string {
	var parts []string
	for name, value := range fields {
		if value != "" && name != "sign" {
			parts = append(parts, name+"="+value)
		}
	}
	slices.Sort(parts)
	sum := sm3.Sum([]byte(strings.Join(append(parts, "key="+s.key), "&")))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// vector is the last block of a message's number.
func vector(msgid string) ([]byte, error) {
	if len(msgid) < sm4.BlockSize {
		return nil, errors.New("msgid is too short")
	}
	return []byte(msgid[len(msgid)-sm4.BlockSize:]), nil
}

// unseal opens SM4-CBC with PKCS#7 in base64.
func (s seal) unseal(text, msgid string) ([]byte, error) {
	load, err := base64.StdEncoding.DecodeString(text)
	iv, short := vector(msgid)
	if err != nil || short != nil || len(load) == 0 || len(load)%sm4.BlockSize != 0 {
		return nil, errors.New("not sealed")
	}
	cipher.NewCBCDecrypter(s.block, iv).CryptBlocks(load, load)
	n := int(load[len(load)-1])
	if n == 0 || n > sm4.BlockSize || !bytes.Equal(load[len(load)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errors.New("not sealed")
	}
	return load[:len(load)-n], nil
}

func (s seal) seal(plain []byte, msgid string) string {
	iv, err := vector(msgid)
	if err != nil {
		return ""
	}
	n := sm4.BlockSize - len(plain)%sm4.BlockSize
	load := append(slices.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(s.block, iv).CryptBlocks(load, load)
	return base64.StdEncoding.EncodeToString(load)
}

// answer before it is dressed. What is refused has words; result may be there all the same.
type answer struct {
	words  string
	result any // nil: none
	effect string
}

func refuse(words string) answer  { return answer{words: words, effect: "refused: " + words} }
func lacking(field string) answer { return refuse("参数缺失: " + field) }
func told(result any) answer      { return answer{result: result, effect: "asked"} }

// booked answers for a write.
func booked(r books.Result, kind fault.Kind, result any) answer {
	a := answer{result: result, effect: r.Journal()}
	switch {
	case r.Effect == books.Refused:
		return answer{words: r.Words, effect: a.effect}
	case r.Effect == books.Conflict:
		a.words = "[1004]重复提交内容不一致"
	case r.Effect == books.Already, r.Effect == books.Done && kind == fault.DuplicateAnswer:
		a.words = "[1005]单据已存在，请勿重复提交"
	}
	return a
}

// answer seals the result and signs the whole. infcode is a number where the
// hospital did something and text where it was asked, and what is refused without
// a result refers to no number: so the insurance's interfaces are.
func (s seal) answer(q request, a answer) fault.Answer {
	code, refers := "0", q.msgid
	if a.words != "" {
		code = "-1"
	}
	fields := map[string]string{"infcode": code, "err_msg": a.words, "refmsg_time": time.Now().In(books.Zone).Format("20060102150405") + "000"}
	if a.words != "" && a.result == nil {
		refers = ""
	}
	fields["inf_refmsgid"] = refers
	if a.result != nil {
		fields["output"] = s.seal(layered("result", a.result), refers)
	}
	fields["sign"] = s.sign(fields)
	out := map[string]any{"warn_msg": nil}
	for name, value := range fields {
		out[name] = value
	}
	if a.effect != "asked" {
		out["infcode"] = json.Number(code)
	}
	return fault.Answer{Type: jsonType, Body: compact(out)}
}

// layered is JSON in JSON.
func layered(name string, value any) []byte {
	return compact(map[string]string{name: string(compact(value))})
}

func compact(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err) // our own structs
	}
	return bytes.TrimSpace(b.Bytes())
}

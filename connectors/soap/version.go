package soap

import (
	"strings"

	"hishub/core"
)

// version is what differs between the two versions of SOAP.
type version struct {
	name      string
	namespace string // of the envelope
	// binding is the namespace of a WSDL's bindings.
	binding string
	// encoding is the namespace of the encoded use.
	encoding string
}

var (
	soap11 = version{"1.1", "http://schemas.xmlsoap.org/soap/envelope/", "http://schemas.xmlsoap.org/wsdl/soap/", encoding11}
	soap12 = version{"1.2", "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/wsdl/soap12/", encoding12}
)

// other is the version that this one is not.
func (v version) other() version {
	if v == soap11 {
		return soap12
	}
	return soap11
}

// headers of HTTP that name charset and action. The action is nil for none.
func (v version) headers(charset string, action *string) []core.Field {
	if v == soap11 {
		headers := []core.Field{{Name: "Content-Type", Value: "text/xml; charset=" + charset}}
		if action != nil {
			headers = append(headers, core.Field{Name: "SOAPAction", Value: *action})
		}
		return headers
	}
	contentType := "application/soap+xml; charset=" + charset
	if action != nil {
		contentType += "; action=" + *action
	}
	return []core.Field{{Name: "Content-Type", Value: contentType}}
}

// fault gives a fault of SOAP 1.2 the names of SOAP 1.1, so that one rule reads
// both: many a HIS answers one version with the other.
func fault(content core.Value) core.Value {
	t, ok := content.(core.Tree)
	code, is12 := t.Get("Code").(core.Tree)
	if !ok || !is12 || t.Has("faultcode") { // some stacks write both at once
		return content
	}
	reason, _ := t.Get("Reason").(core.Tree)
	texts, ok := reason.Get("Text").(core.List)
	if !ok {
		texts = core.List{reason.Get("Text")}
	}
	words, _ := core.Text(texts[0])
	f := core.Tree{{Name: "faultcode", Value: code.Get("Value")}, {Name: "faultstring", Value: orNil(strings.TrimSpace(words))}}
	if sub, ok := code.Get("Subcode").(core.Tree); ok {
		f = append(f, core.Field{Name: "subcode", Value: sub.Get("Value")})
	}
	if t.Has("Detail") {
		f = append(f, core.Field{Name: "detail", Value: t.Get("Detail")})
	}
	return f
}

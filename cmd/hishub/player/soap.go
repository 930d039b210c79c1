package player

import (
	"bytes"
	"errors"
	"reflect"

	"hishub/connectors/wire"
	"hishub/core"
	"hishub/mapping"
)

const soap12 = "http://www.w3.org/2003/05/soap-envelope"

func envelopeType(body []byte, charset string) string {
	if bytes.Contains(body, []byte(soap12)) {
		return "application/soap+xml; charset=" + charset
	}
	return "text/xml; charset=" + charset
}

// envelope is the answer as an envelope: the recorded one, with what changed put
// into it where it stood, or one that the WSDL describes.
func (e *entrance) envelope(h *mapping.Heard, said *mapping.Said) ([]byte, error) {
	if said.Recorded != nil {
		recorded, err := wire.ReadRecorded(said.Recorded)
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(said.Before.Body, said.Response.Body) {
			return recorded.Body, nil
		}
		if text, err := e.text.Decode(recorded.Body); err == nil {
			if changed, ok := mapping.PatchXML(text, said.Before.Body, said.Response.Body); ok {
				return e.text.Encode(nil, changed)
			}
		}
	}
	if said.Response.Error != "" {
		return nil, errors.New("a fault can only be answered as it was recorded")
	}
	out, err := e.wire.Write(core.Arrival{Call: h.Transport()}, core.Reply{Body: said.Response.Body})
	return out.Body, err
}

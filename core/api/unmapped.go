package api

import (
	"context"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// Worklist is what is kept of codes that tables do not have.
type Worklist interface {
	Unmapped(ctx context.Context, hospitals []string, dismissed bool) ([]postgres.UnmappedCode, error)
	DismissUnmapped(ctx context.Context, hospital, table string, d core.CodeDirection, code, who, note string) error
}

// UnmappedCode is a code for which a table of the hospital's folder needs a row.
type UnmappedCode struct {
	Table      string             `json:"table"`
	Direction  core.CodeDirection `json:"direction" enum:"out,in" doc:"out: our code, to be said; in: the HIS's"`
	Code       string             `json:"code"`
	Name       string             `json:"name,omitempty" doc:"what messages call it"`
	State      core.CodeState     `json:"state" enum:"unmapped,defaulted,mapped,unused" doc:"in the active folder: no row has it; only its default has it; a row has it by now; the table is gone"`
	Unmapped   int64              `json:"unmapped" doc:"uses that failed"`
	Defaulted  int64              `json:"defaulted" doc:"uses in which the default stood in"`
	FirstSeen  time.Time          `json:"first_seen"`
	LastSeen   time.Time          `json:"last_seen"`
	Message    int64              `json:"message,omitempty" doc:"the latest message with it"`
	Suggestion string             `json:"suggestion,omitempty" doc:"the table's own code that differs from it in spelling only"`
	Dismissed  *time.Time         `json:"dismissed_at,omitempty"`
	By         string             `json:"dismissed_by,omitempty"`
	Note       string             `json:"note,omitempty" doc:"why it was dismissed"`
}

type unmappedQuery struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	All      bool   `query:"all" doc:"also those that the active folder maps by now, and those that were dismissed"`
}

type unmappedList struct {
	Body struct {
		Codes []UnmappedCode `json:"codes" doc:"what failed oftenest first"`
	}
}

type unmappedDismissal struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Body     struct {
		Table     string             `json:"table" minLength:"1" maxLength:"200"`
		Direction core.CodeDirection `json:"direction" enum:"out,in"`
		Code      string             `json:"code" maxLength:"200"`
		Note
	}
}

func (a *api) unmapped() {
	register(a, operation{
		id: "list-unmapped-codes", method: http.MethodGet, path: "/v1/hospitals/{hospital}/unmapped", right: mayRead, tag: "Hospitals",
		title: "List codes that the code tables lack", doc: "An entry goes when the active revision of the folder has a row for it. Counts are written once a second.",
	}, func(ctx context.Context, rq *request, in *unmappedQuery) (*unmappedList, error) {
		out := &unmappedList{}
		all, err := Unmapped(ctx, a.Store, a.Folder, in.Hospital, in.All)
		out.Body.Codes = all
		return out, err
	})
	register(a, operation{
		id: "dismiss-unmapped-code", method: http.MethodPost, path: "/v1/hospitals/{hospital}/unmapped/dismiss", right: mayPause, tag: "Hospitals",
		title: "Take a code off that list", doc: "For a code that nobody will map. It goes on being counted.", status: http.StatusNoContent,
	}, func(ctx context.Context, rq *request, in *unmappedDismissal) (*struct{}, error) {
		return nil, a.Store.DismissUnmapped(ctx, in.Hospital, in.Body.Table, in.Body.Direction, in.Body.Code, rq.who(), in.Body.Note.Note)
	})
}

// Unmapped is a hospital's worklist as its active folder leaves it: what that maps by
// now is gone from it, unless all is wanted. folder may be nil; then nothing is known
// to be mapped.
func Unmapped(ctx context.Context, store Worklist, folder func(ctx context.Context, hospital string) (*core.Dialect, error), hospital string, all bool) ([]UnmappedCode, error) {
	kept, err := store.Unmapped(ctx, []string{hospital}, all)
	if err != nil {
		return nil, err
	}
	var d *core.Dialect
	if folder != nil {
		if d, err = folder(ctx, hospital); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	out := []UnmappedCode{}
	for _, u := range kept {
		c := UnmappedCode{
			Table: u.Table, Direction: u.Direction, Code: u.Code, Name: u.Text, State: core.CodeUnmapped, Unmapped: u.Unmapped, Defaulted: u.Defaulted,
			FirstSeen: u.FirstSeen, LastSeen: u.LastSeen, Message: u.Message, Dismissed: u.DismissedAt, By: u.DismissedBy, Note: u.Note,
		}
		if d != nil {
			c.State, c.Suggestion = d.CodeState(u.Use(), now)
		}
		if all || c.State == core.CodeUnmapped || c.State == core.CodeDefaulted {
			out = append(out, c)
		}
	}
	return out, nil
}

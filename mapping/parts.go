package mapping

import (
	"errors"
	"fmt"

	"hishub/core"
	"hishub/mapping/functions"
)

// partRuling judges the lines of an answer, each for itself.
type partRuling struct {
	each  *each
	at    pos // of the key
	key   template
	words template // nil: none
	rules []ruling
}

// parts compiles the verdict for each line.
func (l *loader) parts(n *node, s *scope, m *mapper) {
	for _, entry := range n.items {
		keys := l.section(entry, partTable)
		if keys["$each"] == nil {
			continue // reported
		}
		inner, _, each := s.each(entry)
		p := partRuling{each: each}
		if n := keys["key"]; n != nil {
			p.at = n.pos
			p.key, _ = inner.cell(n)
		}
		if n := keys["message"]; n != nil {
			p.words, _ = inner.cell(n)
		}
		var written map[string]*node
		if n := keys["outcome"]; n != nil {
			written = l.section(n, partOutcomeTable)
		}
		for _, r := range rules {
			if n := written[r.name]; n != nil {
				p.rules = append(p.rules, ruling{r.name, r.outcome, inner.condition(n)})
			}
		}
		m.parts = append(m.parts, p)
	}
}

// judgeParts fails where one line cannot be read: then nothing is known of the
// others either.
func (m *mapper) judgeParts(r *run) ([]core.Part, error) {
	var out []core.Part
	for i := range m.parts {
		p := &m.parts[i]
		err := p.each.run(r, func() error {
			part, err := p.judge(r)
			out = append(out, part)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("parts: %w", err)
		}
	}
	return out, nil
}

func (p *partRuling) judge(r *run) (core.Part, error) {
	part := core.Part{Outcome: core.OutcomeInDoubt}
	v, err := p.key.value(r)
	if err == nil {
		part.Key, err = functions.Text(plain(v))
	}
	if err == nil && part.Key == "" {
		err = errors.New("the key is empty, so nobody knows which one it is")
	}
	if err != nil {
		return part, failedAt(p.at, err)
	}
	if p.words != nil {
		if v, err = p.words.value(r); err != nil {
			return part, err
		}
		text, err := functions.Text(plain(v))
		if err != nil {
			return part, failedAt(p.at, fmt.Errorf("message: %w", err))
		}
		part.Words = boundedWords(text)
	}
	for _, rule := range p.rules {
		holds, err := rule.when.holds(r)
		if err != nil {
			return part, err
		}
		if holds {
			part.Outcome = rule.outcome
			break
		}
	}
	return part, nil
}

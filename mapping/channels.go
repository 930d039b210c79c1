package mapping

import (
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"hishub/core"
)

// channelKinds are the payment channels that there are connectors for.
var channelKinds = []string{"wechatpay", "alipay", "file"}

// readChannels reads the hospital's accounts at payment channels. Operations are
// there already: a channel may be a question to the HIS.
func (l *loader) readChannels(d *core.Dialect) {
	d.Channels = map[core.Channel]core.ConnectorSpec{}
	n := l.hospital["channels"]
	if n == nil {
		return
	}
	accounts := l.section(n, channelsTable)
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		account := accounts[name]
		kind, options := account.fields[0].key, account.fields[0].value
		spec := core.ConnectorSpec{Name: name, Kind: kind.text, Files: l.files}
		switch {
		case kind.text == "ask":
			if !l.askable(core.Channel(name), kind, options) {
				continue
			}
			spec.Kind = ""
		case !slices.Contains(channelKinds, kind.text):
			l.mistake(kind.pos, didYouMean(kind.text, append([]string{"ask"}, channelKinds...)), "there is no payment channel of kind %q", kind.text)
			continue
		default:
			before := len(l.all)
			l.secretsOfChannel(options)
			spec.Options = plainOptions(options, l.expand)
			spec.Timeout = durationOr30s(options.get("timeout"))
			if len(l.all) == before && l.options.OpenChannel != nil {
				l.openChannel(spec, kind, options)
			}
		}
		d.Channels[core.Channel(name)] = spec
	}
}

// askable checks a channel whose ledger only the HIS knows.
func (l *loader) askable(channel core.Channel, at, question *node) bool {
	want := string(core.InsuranceLedger)
	switch {
	case channel != "insurance":
		l.mistake(at.pos, "write the account's kind and options", "only the insurance's ledger is asked of the HIS, that of %s comes from the channel", channel)
	case question.text != want:
		l.mistake(question.pos, "write "+want, "%q is no question about a channel's ledger", question.text)
	case l.operations[core.InsuranceLedger] == nil:
		l.mistake(question.pos, "write the operation "+want, "the folder has no %s to ask", want)
	default:
		return true
	}
	return false
}

// keyFile are options that may name a file of the folder instead.
var keyFile = regexp.MustCompile(`(?i)(^key$|private_?key)`)

// secretsOfChannel refuses secrets in clear and has the others masked. A private
// key may be a file of the folder.
func (l *loader) secretsOfChannel(n *node) {
	for _, f := range n.fields {
		l.secretsOfChannel(f.value)
		if f.value.kind != scalarNode || f.value.isEmpty() || !secretName.MatchString(f.key.text) {
			continue
		}
		if variable.MatchString(f.value.text) {
			for _, v := range variable.FindAllStringSubmatch(f.value.text, -1) {
				if value, ok := l.options.Env(v[1]); ok && value != "" {
					l.masked = append(l.masked, value)
				}
			}
			continue
		}
		cure := `write "${NAME}" and set the variable NAME`
		if keyFile.MatchString(f.key.text) {
			if info, err := fs.Stat(l.files, f.value.text); err == nil && info.Mode().IsRegular() {
				continue
			}
			cure += ", or name a file of the folder"
		}
		l.mistake(f.value.pos, cure, "the option %q looks like a secret in clear", f.key.text)
	}
}

// openChannel checks options by opening the account, which touches no network.
func (l *loader) openChannel(spec core.ConnectorSpec, kind, options *node) {
	opened, err := l.options.OpenChannel(spec)
	if err == nil {
		_ = opened.Close()
		return
	}
	var problems core.Problems
	if !errors.As(err, &problems) {
		l.mistake(kind.pos, "", "the account at %s cannot be opened: %v", spec.Name, err)
		return
	}
	l.optionMistakes(options, kind.pos, spec.Kind, problems)
}

package codes

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hishub/core"
)

// Entry is a code with what people call it: of ours, or of a HIS's dictionary.
type Entry struct{ Code, Name, Spec string }

// Proposal is a row that nobody has put into a table. A person decides.
type Proposal struct {
	Ours, Theirs Entry
	// Score from 1 (no doubt) to LeastScore.
	Score float64
	// Why says what agrees: "same code", "same name", …
	Why string
}

// LeastScore is how like two names must be to be proposed.
const LeastScore = 0.5

// Dictionary is the HIS's own list, ready to be searched.
type Dictionary struct {
	entries  []Entry
	codes    map[string]int
	names    map[string][]int // by folded name
	specs    map[string][]int // by folded name and spec
	cores    map[string][]int // by name without words of the dosage form
	bigrams  map[string][]int
	grams    []int // how many bigrams an entry has
	spelling []string
}

// NewDictionary indexes a list. What has no code is left out.
func NewDictionary(entries []Entry) *Dictionary {
	d := &Dictionary{codes: map[string]int{}, names: map[string][]int{}, specs: map[string][]int{}, cores: map[string][]int{}, bigrams: map[string][]int{}}
	for _, e := range entries {
		if _, twice := d.codes[e.Code]; twice || e.Code == "" {
			continue
		}
		i := len(d.entries)
		d.entries = append(d.entries, e)
		d.codes[e.Code] = i
		name := folded(e.Name)
		d.spelling = append(d.spelling, name)
		if name == "" {
			d.grams = append(d.grams, 0)
			continue
		}
		d.names[name] = append(d.names[name], i)
		d.specs[name+" "+folded(e.Spec)] = append(d.specs[name+" "+folded(e.Spec)], i)
		d.cores[formless(name)] = append(d.cores[formless(name)], i)
		grams := bigrams(name)
		d.grams = append(d.grams, len(grams))
		for _, g := range grams {
			d.bigrams[g] = append(d.bigrams[g], i)
		}
	}
	return d
}

// Entry is the one with this code.
func (d *Dictionary) Entry(code string) (Entry, bool) {
	i, ok := d.codes[code]
	if !ok {
		return Entry{}, false
	}
	return d.entries[i], true
}

// Nearest is the entry that means the same as e, as far as names tell, best
// reasons first: name and spec, name, name without the dosage form, likeness of the
// names. ok is false where nothing comes near.
func (d *Dictionary) Nearest(e Entry) (near Entry, score float64, why string, ok bool) {
	name, spec := folded(e.Name), folded(e.Spec)
	if name == "" {
		return Entry{}, 0, "", false
	}
	if all := d.specs[name+" "+spec]; len(all) > 0 && spec != "" {
		return d.entries[all[0]], among(1, len(all)), "same name and spec", true
	}
	if all := d.names[name]; len(all) > 0 {
		return d.entries[d.bySpec(all, spec)], among(0.95, len(all)), "same name", true
	}
	// The spec may stand in the name: 阿莫西林胶囊0.25g.
	if all := d.names[name+spec]; spec != "" && len(all) > 0 {
		return d.entries[all[0]], among(0.95, len(all)), "name and spec together", true
	}
	if all := d.cores[formless(name)]; len(all) > 0 {
		return d.entries[d.bySpec(all, spec)], among(0.85, len(all)), "same name but for the form", true
	}
	i, score := d.alike(name)
	if score < LeastScore {
		return Entry{}, 0, "", false
	}
	return d.entries[i], min(score, 0.8), "alike", true
}

// among lowers a score where several entries are meant alike.
func among(score float64, n int) float64 {
	if n == 1 {
		return score
	}
	return max(LeastScore, score-0.1-0.05*float64(min(n, 5)))
}

// bySpec is the entry whose spec is most like the one wanted.
func (d *Dictionary) bySpec(all []int, spec string) int {
	return slices.MaxFunc(all, func(a, b int) int {
		return cmp.Or(cmp.Compare(dice(bigrams(spec), bigrams(folded(d.entries[a].Spec))), dice(bigrams(spec), bigrams(folded(d.entries[b].Spec)))), cmp.Compare(b, a))
	})
}

// alike finds the name that shares most pairs of letters (Dice's coefficient).
func (d *Dictionary) alike(name string) (best int, score float64) {
	grams := bigrams(name)
	shared := map[int]int{}
	for _, g := range grams {
		for _, i := range d.bigrams[g] {
			shared[i]++
		}
	}
	best = -1
	for i, n := range shared {
		s := 2 * float64(n) / float64(len(grams)+d.grams[i])
		if s > score || s == score && i < best {
			best, score = i, s
		}
	}
	return best, score
}

// bigrams are the pairs of letters that follow each other, each once.
func bigrams(text string) []string {
	r := []rune("^" + text + "$")
	var out []string
	for i := range r[1:] {
		out = append(out, string(r[i:i+2]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func dice(a, b []string) float64 {
	n := 0
	for _, g := range a {
		if _, ok := slices.BinarySearch(b, g); ok {
			n++
		}
	}
	return 2 * float64(n) / float64(len(a)+len(b))
}

// Words of dosage forms that one list has and another leaves out, the longer first.
var (
	formBefore = []string{"注射用", "外用"}
	formAfter  = []string{"口服溶液", "口服液", "软胶囊", "胶囊剂", "注射液", "注射剂", "滴眼液", "胶囊", "颗粒剂", "颗粒", "片剂", "溶液", "软膏", "乳膏", "片", "丸", "散"}
	formSort   = []string{"薄膜衣", "肠溶", "缓释", "控释", "分散", "咀嚼", "泡腾"}
)

// formless is a folded name without them; a name that is nothing else stays.
func formless(name string) string {
	out := name
	cut := func(words []string, without func(s, word string) string) {
		for _, w := range words {
			if rest := without(out, w); rest != out && rest != "" {
				out = rest
				return
			}
		}
	}
	cut(formBefore, strings.TrimPrefix)
	cut(formAfter, strings.TrimSuffix)
	cut(formSort, strings.TrimSuffix)
	cut(formSort, strings.TrimPrefix)
	return out
}

// Propose proposes a row for each code of the worklist that something can be said
// about; the others are left. dictionary is the HIS's own list, nil if there is none;
// known are ours with their names, for codes that the HIS said. words are the values
// of ours that a code of a closed set can be.
func (t *Table) Propose(uses []core.CodeUse, dictionary *Dictionary, known []Entry, words []string) (all []Proposal, left []core.CodeUse) {
	ours := NewDictionary(known)
	for _, u := range uses {
		p, ok := t.propose(u, dictionary, ours, words)
		if !ok {
			left = append(left, u)
			continue
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Ours.Code, b.Ours.Code), strings.Compare(a.Theirs.Code, b.Theirs.Code))
	})
	return all, left
}

func (t *Table) propose(u core.CodeUse, dictionary, ours *Dictionary, words []string) (Proposal, bool) {
	if u.Direction == core.CodeIn {
		theirs := Entry{Code: u.Code, Name: u.Text}
		if dictionary != nil && theirs.Name == "" {
			if e, ok := dictionary.Entry(u.Code); ok {
				theirs = e
			}
		}
		if value, ok := meaning(cmp.Or(theirs.Name, theirs.Code), words); ok {
			return Proposal{Entry{Code: value}, theirs, 0.9, "known word"}, true
		}
		if e, ok := ours.Entry(u.Code); ok {
			return Proposal{e, theirs, 0.9, "same code"}, true
		}
		e, score, why, ok := ours.Nearest(theirs)
		return Proposal{e, theirs, score, why}, ok
	}
	mine := Entry{Code: u.Code, Name: u.Text}
	if e, ok := ours.Entry(u.Code); ok {
		mine = Entry{u.Code, cmp.Or(u.Text, e.Name), e.Spec}
	}
	if dictionary == nil {
		return Proposal{}, false
	}
	near, score, why, ok := dictionary.Nearest(mine)
	if same, has := dictionary.Entry(u.Code); has && (!ok || near.Code != same.Code) {
		// Both lists may number things by themselves: the same code says little
		// where the names are known and differ.
		if mine.Name == "" {
			return Proposal{mine, same, 0.7, "same code"}, true
		}
		if d := dice(bigrams(folded(mine.Name)), bigrams(folded(same.Name))); d > score {
			return Proposal{mine, same, d, "same code, names alike"}, true
		}
	}
	if ok {
		return Proposal{mine, near, score, why}, true
	}
	if i := slices.IndexFunc(dictionary.entries, func(e Entry) bool {
		m, is := meaning(cmp.Or(e.Name, e.Code), []string{u.Code})
		return is && m == u.Code
	}); i >= 0 {
		return Proposal{mine, dictionary.entries[i], 0.9, "known word"}, true
	}
	return Proposal{}, false
}

// vocabulary are the words and usual codes of closed sets, folded.
var vocabulary = map[string][]string{
	"male": {"男", "m", "male", "男性", "男士"}, "female": {"女", "f", "female", "女性", "女士"}, "other": {"其他", "其它", "o", "other"}, "unknown": {"未知", "不详", "未说明的性别", "未知的性别", "u", "unknown"},
	"wechat": {"微信", "微信支付", "wx", "wechat", "weixin", "wxpay"}, "alipay": {"支付宝", "zfb", "alipay", "ali"},
	"unionpay": {"银联", "云闪付", "银联支付", "yl", "unionpay"}, "insurance": {"医保", "医保支付", "医保账户", "yb", "insurance"}, "bank": {"银行卡", "银行", "刷卡", "bank", "yhk"}, "cash": {"现金", "xj", "cash"},
	"western": {"西药", "西药方", "西药处方"}, "patent": {"中成药", "成药", "中成药方"}, "herbal": {"中草药", "草药", "中药饮片", "草药方", "饮片"},
	"morning": {"上午", "am", "morning"}, "afternoon": {"下午", "pm", "afternoon"}, "evening": {"晚上", "夜间", "夜诊", "evening", "night"}, "day": {"全天", "白天", "day"},
	"lab": {"检验", "化验", "lab"}, "exam": {"检查", "exam"}, "microbiology": {"微生物", "细菌"},
	"payment": {"收费", "缴费", "支付", "结算"}, "refund": {"退费", "退款", "冲销"},
	"done": {"成功", "已完成", "完成", "已支付", "已收费", "已退费"}, "running": {"处理中", "进行中", "正在处理"}, "processing": {"处理中", "进行中", "正在处理"}, "failed": {"失败"}, "refused": {"失败", "拒绝", "已拒绝"}, "absent": {"不存在", "未支付", "未收费", "未缴费"},
}

// meaning is the value that a word stands for, among these.
func meaning(word string, values []string) (string, bool) {
	word = folded(word)
	for _, v := range values {
		if word == folded(v) || slices.Contains(vocabulary[v], word) {
			return v, true
		}
	}
	return "", false
}

// ReadEntries reads a saved dictionary: the JSON of a question's answer ({"drugs":
// [...]}, {"answer": {...}}, or a list of records), or CSV or XLSX with columns code,
// name and spec.
func ReadEntries(name string, data []byte) ([]Entry, error) {
	if trimmed := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff"))); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		return jsonEntries(trimmed)
	}
	var rows []SheetRow
	var err error
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		rows, err = workbookRows(data)
	} else {
		rows, err = csvRows(data)
	}
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("the file is empty")
	}
	find := func(words ...string) int {
		return slices.IndexFunc(rows[0].Values, func(v string) bool { return slices.Contains(words, strings.ToLower(tidy(v))) })
	}
	code, label, spec := find("code", "编码", "代码", "theirs", "ours", "对方", "我方"), find("name", "名称", "text"), find("spec", "规格")
	if code < 0 {
		return nil, fmt.Errorf("%s: no column code (编码) in its first row", name)
	}
	at := func(r SheetRow, i int) string {
		if i < 0 || i >= len(r.Values) {
			return ""
		}
		return tidy(r.Values[i])
	}
	var all []Entry
	for _, r := range rows[1:] {
		if c := at(r, code); c != "" {
			all = append(all, Entry{c, at(r, label), at(r, spec)})
		}
	}
	return all, nil
}

func jsonEntries(data []byte) ([]Entry, error) {
	var list []Entry
	if json.Unmarshal(data, &list) == nil {
		return list, nil
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, errors.New("not the JSON of a dictionary")
	}
	if inner, ok := whole["answer"]; ok {
		return jsonEntries(inner)
	}
	for _, name := range []string{"drugs", "terms", "departments", "doctors", "stocks"} {
		if inner, ok := whole[name]; ok {
			if err := json.Unmarshal(inner, &list); err != nil {
				return nil, fmt.Errorf("%s: not a list of records with code and name", name)
			}
			return list, nil
		}
	}
	return nil, errors.New("neither a list nor an answer with drugs, terms, departments, doctors or stocks")
}

// WriteProposals writes them as CSV that can be brought in with --add once a
// person has taken out what is wrong.
func WriteProposals(all []Proposal) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{Ours, Theirs, "score", "why", "our_name", "their_name"}) // a buffer takes everything
	for _, p := range all {
		_ = w.Write([]string{Written(p.Ours.Code), Written(p.Theirs.Code), strconv.FormatFloat(p.Score, 'f', 2, 64), p.Why, label(p.Ours), label(p.Theirs)})
	}
	w.Flush()
	return b.Bytes()
}

func label(e Entry) string { return strings.TrimSpace(e.Name + " " + e.Spec) }

// Known are our codes with the names that the table's own columns give them.
func (t *Table) Known() []Entry {
	at := slices.IndexFunc(t.Columns, func(c string) bool { return c == Name || c == "text" || c == "名称" })
	spec := slices.Index(t.Columns, "spec")
	var all []Entry
	for _, r := range t.Rows {
		if r.OursBegin {
			continue
		}
		e := Entry{Code: r.Ours}
		if at > 0 {
			e.Name = r.Values[at]
		}
		if spec > 0 {
			e.Spec = r.Values[spec]
		}
		all = append(all, e)
	}
	return all
}

// Lacking are those uses, each once, for which the table has no row of their own now or later.
func (t *Table) Lacking(uses []core.CodeUse) []core.CodeUse {
	type key struct {
		direction core.CodeDirection
		code      string
	}
	has := map[key]bool{}
	for i := range t.Rows {
		for _, d := range []core.CodeDirection{core.CodeOut, core.CodeIn} {
			if code, begin, used := t.Rows[i].key(d); used && !begin {
				has[key{d, code}] = true
			}
		}
	}
	var out []core.CodeUse
	for _, u := range uses {
		if k := (key{u.Direction, u.Code}); !has[k] {
			has[k] = true
			out = append(out, u)
		}
	}
	return out
}

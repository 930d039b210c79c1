package certify

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"
)

//go:embed report.html
var page string

//go:embed report.css
var style string

// words of the report, by the name that the page uses.
var words = map[string]text{
	"title":          {"接口符合性测试报告", "Conformance certificate"},
	"hospital":       {"医院", "Hospital"},
	"digest":         {"配置摘要（SHA-256）", "Digest of the folder (SHA-256)"},
	"version":        {"hishub 版本", "hishub version"},
	"endpoints":      {"接口地址（仅主机与端口）", "Endpoints (host and port only)"},
	"date":           {"测试时间", "Date"},
	"money":          {"动账测试", "Money moved"},
	"yes":            {"是", "yes"},
	"no":             {"否（涉及资金的项目未测试）", "no (what moves money was not tried)"},
	"capped":         {"等待上限（短于配置中的时限）", "Waits were capped at (shorter than the folder's)"},
	"summary":        {"结果汇总", "Summary"},
	"chapter":        {"章节", "Chapter"},
	"check":          {"项目", "Item"},
	"proves":         {"证明什么", "What it proves"},
	"about":          {"对象", "About"},
	"result":         {"结果", "Result"},
	"remarks":        {"说明", "Remarks"},
	"pass":           {"通过", "pass"},
	"fail":           {"不通过", "FAIL"},
	"not_applicable": {"不适用", "not applicable"},
	"not_tried":      {"未测试", "not tried"},
	"verdict_ok":     {"没有不通过的项目。", "Nothing failed."},
	"verdict_bad":    {"有不通过的项目，见下。", "Something failed; see below."},
	"coverage":       {"交易覆盖表", "Coverage"},
	"kind":           {"交易", "Transaction"},
	"inquiry":        {"可查询", "inquiry"},
	"repeat":         {"可重发", "repeatable"},
	"undo":           {"可撤销", "can be undone"},
	"cases":          {"用例数", "cases"},
	"left":           {"测试后遗留在 HIS、需人工清理的数据", "Left at the HIS, to be removed by hand"},
	"nothing_left":   {"没有遗留。", "Nothing was left."},
	"number":         {"我方单号", "Our number"},
	"his_no":         {"HIS 号", "HIS number"},
	"why":            {"原因", "Why"},
	"evidence":       {"证据", "Evidence"},
	"evidence_note":  {"密钥与患者信息已遮盖。", "Secrets and patients are masked."},
	"sent":           {"发送", "sent"},
	"received":       {"收到", "received"},
	"outcome":        {"结论", "outcome"},
	"rule":           {"规则", "rule"},
	"decision":       {"随后处理", "what followed"},
	"at":             {"时间", "at"},
	"sign":           {"确认签字", "Signatures"},
	"sign_note":      {"以上结果在所列接口地址与配置版本上测得，配置或接口变更后须重新测试。", "These results hold for the endpoints and the revision named above; after a change of either the list is run again."},
	"sign_hospital":  {"医院信息科", "Hospital"},
	"sign_vendor":    {"HIS 厂商", "HIS vendor"},
	"sign_operator":  {"平台运营方", "Operator"},
	"sign_name":      {"姓名", "Name"},
	"sign_date":      {"日期", "Date"},
}

// section is a chapter with what it found.
type section struct {
	Letter, Title string
	Items         []*Item
	Counts        map[Result]int
}

// HTML writes the certificate as one page that needs nothing else: no script, no
// file, no network. It is made to be printed on A4.
func (c *Certificate) HTML(w io.Writer) error {
	t, err := template.New("certificate").Funcs(template.FuncMap{
		"word":  func(name string) string { return words[name].in(c.Lang) },
		"style": func() template.CSS { return template.CSS(style) }, // ours
		"time":  func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
		"clock": func(t time.Time) string { return t.Format("15:04:05.000") },
		"ms":    func(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) },
		"mark": func(yes bool) string {
			if yes {
				return "✓"
			}
			return "–"
		},
		"result": func(r Result) string { return words[string(r)].in(c.Lang) },
	}).Parse(page)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, map[string]any{"C": c, "Sections": c.sections(), "Results": []Result{Pass, Fail, NotApplicable, NotTried}}); err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

func (c *Certificate) sections() []section {
	var all []section
	for _, ch := range chapters {
		s := section{Letter: ch.letter, Title: ch.title.in(c.Lang), Counts: map[Result]int{}}
		for _, it := range c.Items {
			if it.Check[:1] == ch.letter {
				s.Items = append(s.Items, it)
				s.Counts[it.Result]++
			}
		}
		if len(s.Items) > 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b section) int { return int(a.Letter[0]) - int(b.Letter[0]) })
	return all
}

package incident

// Kind of an incident; a hospital has at most one open of each. An incident never
// grows into a worse one: what is worse is a kind of its own, which is told of, too.
type Kind string

const (
	// Backlog: the oldest message that can be sent has waited for too long.
	Backlog Kind = "backlog"
	// Parked: a message waits for a person.
	Parked Kind = "parked"
	// ParkedGrowth: many were parked in a short time; who knows of three hears again.
	ParkedGrowth Kind = "parked_growth"
	// Breaker: the HIS does not answer.
	Breaker Kind = "breaker"
	// Failures: the HIS answers, but too many exchanges fail.
	Failures Kind = "failures"
	// Codes: codes of the worklist that the folder's tables lack.
	Codes Kind = "codes"
	// Night: the latest night failed, or found differences.
	Night Kind = "night"
	// Clock: the HIS's clock is off ours, so that its times, and logins that expire,
	// cannot be trusted.
	Clock Kind = "clock"
	// Certificate: one of TLS ends within weeks; CertificateEnds: within days, or has.
	Certificate     Kind = "certificate"
	CertificateEnds Kind = "certificate_ends"
	// Variables: its folder does not load with variables that were changed.
	Variables Kind = "variables"
)

// Severity says whether somebody has to get up.
type Severity string

const (
	Warning  Severity = "warning"  // within the day
	Critical Severity = "critical" // now: nothing goes, or soon will not
)

// Values of Severity.
func (Severity) Values() []string { return []string{string(Warning), string(Critical)} }

// Words say the same in both languages.
type Words struct{ En, Zh string }

// In one of them: "zh" or "en".
func (w Words) In(language string) string {
	if language == "zh" && w.Zh != "" {
		return w.Zh
	}
	return w.En
}

var kinds = []struct {
	kind     Kind
	severity Severity
	title    Words
}{
	{Backlog, Critical, Words{"messages wait", "消息积压"}},
	{Parked, Warning, Words{"a person must decide", "有消息待人工处理"}},
	{ParkedGrowth, Warning, Words{"many are parked", "待人工处理激增"}},
	{Breaker, Critical, Words{"the HIS does not answer", "HIS 无应答"}},
	{Failures, Warning, Words{"many exchanges fail", "失败率过高"}},
	{Codes, Warning, Words{"codes without a mapping", "有未对照的编码"}},
	{Night, Warning, Words{"the night's books", "夜间对账异常"}},
	{Clock, Warning, Words{"the HIS's clock is off", "HIS 时钟偏差"}},
	{Certificate, Warning, Words{"a certificate ends soon", "证书即将到期"}},
	{CertificateEnds, Critical, Words{"a certificate ends now", "证书马上到期或已到期"}},
	{Variables, Warning, Words{"changed variables do not fit", "变更的变量无法加载"}},
}

// Values of Kind.
func (Kind) Values() []string {
	all := make([]string, len(kinds))
	for i, k := range kinds {
		all[i] = string(k.kind)
	}
	return all
}

// Severity of every incident of this kind.
func (k Kind) Severity() Severity {
	for _, one := range kinds {
		if one.kind == k {
			return one.severity
		}
	}
	return Warning
}

// Title names the kind for people.
func (k Kind) Title() Words {
	for _, one := range kinds {
		if one.kind == k {
			return one.title
		}
	}
	return Words{En: string(k)}
}

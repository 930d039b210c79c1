package certify

// text is what people read, in both languages.
type text struct{ zh, en string }

func (t text) in(lang string) string {
	if lang == "en" {
		return t.en
	}
	return t.zh
}

// chapter of the conformance list.
type chapter struct {
	letter string
	title  text
	run    func(*run)
}

// chapters are the whole list, in the order in which it runs and is printed.
var chapters = []chapter{
	{"A", text{"医院配置文件夹", "The folder"}, (*run).folder},
	{"B", text{"连通性与登录", "Reachability and login"}, (*run).reach},
	{"C", text{"每个写入交易", "Every write"}, (*run).writes},
	{"D", text{"存疑演练（断网、丢包、超时）", "In-doubt drills"}, (*run).drills},
	{"F", text{"HIS 主动调用的接口", "What the HIS tells us"}, (*run).inbound},
	{"G", text{"生僻字与特殊符号", "Characters and content"}, (*run).content},
	{"H", text{"并发", "Limits"}, (*run).limits},
	{"E", text{"对账", "Reconciliation"}, (*run).night},
}

// proves says what each check of the list proves, by the id of the check.
var proves = map[string]text{
	"A.check":    {"配置没有错误", "the folder has no mistakes"},
	"A.cases":    {"全部用例通过，报文与约定逐字节一致", "all cases pass: every message is byte for byte as agreed"},
	"A.coverage": {"交易覆盖表", "which transactions the folder covers"},
	"A.identity": {"配置版本摘要与所用环境变量（只列名称）", "the digest of this revision, and the environment that it uses (names only)"},

	"B.answers": {"接口可以连通并正常应答", "the connector reaches the HIS and is answered"},
	"B.tls":     {"服务器证书在有效期内", "the server's certificate is valid, and for how long"},
	"B.clock":   {"HIS 时钟与本机一致", "the HIS's clock agrees with ours"},
	"B.login":   {"登录成功", "the login works"},
	"B.renew":   {"令牌错误或过期时自动重新登录，业务不受影响", "a wrong or expired token is renewed, and the request goes through"},

	"C.absent":  {"查询从未发送过的单号，HIS 答“没有”", "asked about a number that was never sent, the HIS says that it has none"},
	"C.once":    {"新单号发送一次，HIS 受理", "a message with a fresh number is accepted"},
	"C.done":    {"查询已受理的单号，HIS 答“已受理”，其给出的单号、金额与我方一致（备注列明比对项）", "asked about it, the HIS says done, and the number and amount that it gives are ours (the remark says what was compared)"},
	"C.repeat":  {"同一单号重复发送，HIS 不会产生第二笔，原有一笔仍在", "the same message again never becomes a second one, and the first is still there"},
	"C.amount":  {"同一单号、不同金额再次发送，不会被当作成功", "the same number with another amount is not taken for done"},
	"C.undo":    {"多步交易中途取消，已完成的步骤被撤销", "a transaction of several steps that is cancelled between them is taken back"},
	"C.refused": {"内容有误的报文被明确拒绝并说明原因，不存疑", "wrong content is a refusal with words, and not in doubt"},

	"D.down":      {"连不上：什么都没有发生，恢复后补发，只受理一次", "connection refused: nothing happened, and it is sent again and taken once"},
	"D.cut":       {"请求发到一半断线：先查询，确认没有后补发，只受理一次", "cut before the request is through: asked about, sent again, taken once"},
	"D.swallowed": {"HIS 已受理但应答丢失：查询确认，绝不重复发送", "taken, but the answer is lost: asked about, and not sent again"},
	"D.late":      {"应答在我方超时之后才到：查询确认，迟到的应答不造成影响", "the answer comes after our timeout: asked about, and the late answer harms nobody"},
	"D.garbage":   {"应答是乱码：视为存疑，查询确认，不重复发送", "the answer is garbage: in doubt, asked about, not sent again"},
	"D.truncated": {"应答只到一半：视为存疑，查询确认，不重复发送", "the answer is cut off: in doubt, asked about, not sent again"},
	"D.blackhole": {"请求石沉大海：超时后查询，确认没有后补发，只受理一次", "the request vanishes: asked about after the timeout, sent again, taken once"},

	"E.detail": {"当日明细恰好包含本次测试的每一笔收款和退款，单号、金额一致", "the day's ledger holds exactly this run's payments and refunds, with numbers and amounts"},
	"E.total":  {"当日汇总的增量等于本次测试的合计", "the day's totals grew by exactly what this run paid and gave back"},
	"E.twice":  {"同一天查询两次，结果相同", "asked twice, the ledger is the same"},

	"F.answers":  {"收到约定的请求，按约定应答", "the listener answers the agreed request as agreed"},
	"F.tampered": {"签名不符的请求被拒绝", "a request that was tampered with is refused"},
	"F.stranger": {"来自未登记地址的请求被拒绝", "a caller from a foreign address is refused"},

	"G.rare":  {"姓名中的生僻字（䶮、𠮷、·）完好送达", "rare characters in names (䶮, 𠮷, ·) arrive unharmed"},
	"G.marks": {"自由文本中的特殊符号（]]> | ^ & 引号）完好送达", "marks in free text (]]> | ^ & quotes) arrive unharmed"},

	"H.parallel": {"按约定的并发数同时发送，每一笔都受理并留存，互不混淆", "as many at once as the folder allows: each is taken and kept, and none mixed up"},
}

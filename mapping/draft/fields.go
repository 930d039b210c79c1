package draft

import (
	"regexp"
	"strings"
	"unicode"
)

// fieldWords are the names under which HIS's know the fields of our messages and
// answers: English, pinyin initials, Chinese. They are compared without signs and
// capitals, "strPatientName" and "PATIENT_NAME" are both patientname. A field's own
// name needs no line.
var fieldWords = map[string]string{
	// who
	"patient_name": "name patname patientname brxm hzxm xm sickname realname 姓名 患者姓名 病人姓名",
	"name":         "name itemname drugname medname medicinename chargename feename ypmc xmmc mc deptname doctorname docname icdname diagname zdmc ksmc ysxm 名称 姓名 药品名称 项目名称 诊断名称 科室名称",
	"patient_no":   "patientid patid patno patientno patientcode brid brh patid hzid medicalno cardnum mrn pid 病人编号 患者编号 病人id 患者id 患者号 病人号",
	"person_id":    "personid userid platformuserid 用户编号 平台用户",
	"visit_no":     "visitid visitno cliniccode clinicno adm admno admid jzh jzid jzlsh mzh regno regid clinicid encounterid treatno medid visitnumber 就诊号 就诊流水号 门诊号 挂号序号 就诊序号",
	"sex":          "sex gender xb patientsex patsex sexcode 性别",
	"birth_date":   "birthday birthdate birth dob csrq dateofbirth patientbirthday 出生日期 生日",
	"id_no":        "idcard idcardno idno identityno identifyno certno idnumber sfzh sfzhm cardid 身份证 身份证号 证件号 证件号码",
	"id_type":      "idtype certtype cardtype zjlx 证件类型",
	"phone":        "phone mobile tel telephone phoneno mobileno lxdh sjh 电话 手机 联系电话 手机号",
	"address":      "address addr homeaddress dz jtdz 地址 住址",
	"card_no":      "cardno cardnum patientcard kh jzkh 卡号 就诊卡号",
	"payer":        "payer payername 付款人 缴款人",
	// where and by whom
	"department_code": "deptcode deptid deptno department departmentid ksdm ksid ksbm officecode exedeptcode 科室代码 科室编码 科室编号 开单科室",
	"department_name": "deptname departmentname ksmc 科室名称",
	"doctor_code":     "doctorcode doccode docid doctorid doctorno doccode ysdm ysid ysgh physicianid staffno 医生代码 医生编码 医生工号 医师代码 开单医生",
	"doctor_name":     "doctorname docname ysxm physicianname 医生姓名 医师姓名",
	"pharmacist_code": "pharmacistcode pharmcode pharmacistid checkercode reviewercode sfysdm 药师代码 审方药师 审核药师",
	"operator_code":   "opercode operator operid 操作员 操作人",
	"cashier":         "cashier 收费员",
	"pharmacy":        "pharmacy pharmcode pharmacycode storagecode drugdept yfdm 药房 药房代码",
	// a prescription, its lines
	"no":           "recipeno recipeid prescriptionno prescriptionid prescno prescid rxno rxid applyno applyid applycode applicationno cfh cfid cfhm sqdh sqdid 处方号 处方编号 处方id 申请单号 申请单编号",
	"category":     "recipetype prescriptiontype presctype rxtype cflx applytype sqlx category 处方类型 处方类别 申请类型",
	"diagnoses":    "diagnosis diagnoses diags diag diaglist diagnosislist zd zdlist zdxx 诊断 诊断列表 诊断信息",
	"items":        "items item itemlist details detail detaillist recipeitems recipeitem druglist drugs drug medicines feeitems orderitems lines line prescriptiondetail rows mx mxlist 明细 药品明细 处方明细",
	"code":         "code itemcode itemid drugcode drugid drugno medcode medicinecode ypdm ypid ypbm xmdm chargecode feecode dm icd icdcode diagcode zddm deptcode doctorcode docid deptid 代码 编码 药品代码 药品编码 项目代码 项目编码 诊断代码 诊断编码",
	"spec":         "spec specs specification drugspec itemspec ypgg gg standard 规格 药品规格",
	"qty":          "qty quantity amount num number count sl drugnum itemqty totalnum storesum kcsl 数量 总量 库存数量",
	"unit":         "unit drugunit qtyunit packunit priceunit dw yldw numunit 单位 数量单位 发药单位",
	"unit_price":   "price unitprice dj retailprice itemprice drugprice 单价 零售价",
	"price":        "price unitprice retailprice dj 单价 零售价",
	"dose":         "dose dosage doseqty singledose oncedose dcjl jl onedose eachdose doseonce 剂量 单次剂量 每次剂量 用量 每次用量",
	"dose_unit":    "doseunit dosageunit jldw singledoseunit 剂量单位 用量单位",
	"frequency":    "frequency freq freqcode frequencycode pc pcdm usefrequency sypc 频次 频率 用药频次",
	"route":        "route usage usagecode usemethod administration yf gytj usagename way 用法 给药途径 给药方式 用药途径",
	"days":         "days day usedays ts useday daynum takedays 天数 用药天数",
	"form":         "form dosageform dosemodel jx 剂型",
	"note":         "note notes memo remark remarks comment bz memos 备注 说明 嘱托",
	"written_at":   "recipetime recipedate prescriptiontime prescriptiondate presctime prescdate writetime opendate opentime createtime createdate ordertime kfsj kfrq cfsj kdsj billtime 开方时间 开立时间 处方时间 开单时间 处方日期",
	"valid_until":  "validtime expiretime expiredate validuntil validdate yxq 有效期 有效时间 失效时间",
	"ordered_at":   "applytime applydate ordertime opentime sqsj kdsj 申请时间 开单时间",
	"voided_at":    "voidtime voiddate canceltime canceldate zfsj 作废时间 撤销时间",
	"cancelled_at": "canceltime canceldate cancelledtime qxsj 取消时间 退号时间",
	"reason":       "reason cancelreason voidreason refundreason zfyy tkyy cause 原因 作废原因 退费原因 取消原因",
	"specimen":     "specimen sample samplecode sampletype bb 标本 样本",
	"body_sites":   "part parts bodysite bodypart jcbw 部位 检查部位",
	"methods":      "method methods jcff 方法 检查方法",
	// money
	"amount":            "amount totalfee totalamount totalcost totcost totalmoney total sum money fee cost payamt payamount paymoney paysum ordersum orderfee orderamount refundamount refundfee refundmoney refundsum zje je fyje sfje tkje tfje hjje jje cfje regfee charges 金额 总金额 合计 合计金额 费用 总费用 支付金额 实收金额 退款金额 退费金额 缴费金额",
	"paid":              "paid paidamount paidsum originalamount yjje 原支付金额 原金额",
	"fee":               "fee regfee amount totalfee ghf zje 挂号费 费用",
	"order_id":          "orderid orderno outtradeno tradeno platformno platformorderno thirdorderno payorderno outorderno ddh ddbh ptddh originalorderno merchantorderno 订单号 平台订单号 商户订单号 支付订单号",
	"refund_no":         "refundno refundid refundorderno outrefundno tkdh tfdh thkdh refundtradeno 退款单号 退费单号 退款订单号",
	"his_no":            "hisno hisid hisorderno orderno hisorderid hisrxno invoiceno invoicenum receiptno serialno feeno settleid settleno fph jslsh sjh hisserialno regno registerno hisbillno recipeno returnno 发票号 收据号 his单号 his流水号 结算流水号",
	"invoice_no":        "invoiceno invoicenum einvoiceno fph billno receiptno 发票号 票据号",
	"invoice_url":       "invoiceurl url einvoiceurl picurl 票据地址 发票地址",
	"channel":           "paymode paytype paychannel payway paymethod channel paymodecode zffs zflx paykind 支付方式 支付渠道 支付类型",
	"channel_no":        "transno transid transactionid transactionno channelno outpayno paytradeno payserialno agttradeno tradeserialno bankno paytransno zflsh jylsh agtno payno paylsh thirdno 支付流水号 交易流水号 渠道流水号 第三方流水号",
	"channel_refund_no": "refundtransno refundtransid refundserialno channelrefundno refundtradeno tklsh 退款流水号 退款交易号",
	"paid_at":           "paytime paydate payedtime paidtime tradetime transtime tradedate paymenttime zfsj jysj sfsj 支付时间 缴费时间 交易时间 收费时间",
	"refunded_at":       "refundtime refunddate tksj tfsj 退款时间 退费时间",
	"bills":             "billno billnos bills recipeno recipenos recipeid prescriptionno prescriptionnos feeid feeids feeno feenos orderno orders itemids chargeno cfh sjh djh fyid billids 单据号 处方号 费用id 费用单号 账单号",
	"bill_no":           "billno billid orderno feeno recipeno recipeid feeid prescriptionno invoicenum djh cfh fyid sjh 单据号 处方号 费用单号 账单号",
	"prescription_no":   "recipeno prescriptionno rxno applyno cfh 处方号",
	"title":             "title itemclass feetype feename billname billtype typename fylb levlname zc 费用类别 项目类别 职称",
	"lines":             "lines items item details detail feeitems itemlist mx 明细 费用明细",
	"line_no":           "lineno seqno itemno seq xh 序号",
	// appointments
	"schedule_no": "scheduleno scheduleid schemano schemaid schedulecode workid pbid pbh numsourceid hyid 排班号 排班id 号源id",
	"slot_no":     "seqno slotno numberno timeid sourceno xh hx 序号 号序",
	"lock_no":     "lockno lockid sdh 锁号流水",
	"date":        "regdate visitdate seedate date workdate clinicdate scheduledate servicedate jzrq yyrq rq 日期 就诊日期 预约日期 出诊日期",
	"period":      "period noon noonname noonid timeflag ampm sjd swbz timerange 午别 时段 上下午",
	"start":       "starttime begintime start kssj 开始时间",
	"end":         "endtime end stoptime jssj 结束时间",
	"booked_at":   "regtime booktime yysj ordertime 预约时间 挂号时间",
	"locked_at":   "locktime 锁号时间",
	"remaining":   "remaining leftnum remain left syhs restnum 剩余号数 剩余",
	"queue_no":    "queueno seeno queuenum pdhm jzxh 排队号 就诊序号",
	"ahead":       "ahead aheadnum waitnum waitcount 前面人数 等候人数",
	"number":      "number orderno outtradeno platformno ownno seeno applyno refundno 订单号",
	"parent":      "parent parentid parentcode parentdept sjks 上级科室",
	"stopped":     "stop stopped stopflag 停诊",
	"closed":      "closed stopflag invalid tybz 停用",
	// status, ledger
	"state":          "state status paystate paystatus paystatue orderstate orderstatus recipestate recipestatus refundstate refundstatus regstate tradestate zt zfzt ddzt cfzt tkzt czbz flag payflag 状态 支付状态 订单状态 处方状态 退款状态",
	"message":        "message msg resultmsg returndesc returnmsg retmsg errmsg errormsg resultdesc desc err error errtext errortext cwxx cwms 错误信息 说明 返回信息 失败原因",
	"day":            "date day busidate checkdate billdate tradedate rq dzrq accountdate 日期 对账日期",
	"from":           "begindate startdate from fromdate begin ksrq 开始日期",
	"to":             "enddate to todate end jsrq 结束日期",
	"operator":       "opercode operid operator usercode czy 操作员",
	"type":           "type tradetype transtype transkind busitype jylx kind 类型 交易类型",
	"at":             "tradetime operdate time transtime paytime opertime jysj 时间 交易时间",
	"payments":       "paycount paymentcount paynum sfbs 支付笔数 收费笔数",
	"payment_amount": "paysum paycost payamount paymentamount paytotal sfje 支付金额 收费金额",
	"refunds":        "refundcount backcount refundnum tfbs 退款笔数 退费笔数",
	"refund_amount":  "refundsum backcost refundamount refundtotal tfje 退款金额 退费金额",
	"time":           "time systime sysdate servertime now dqsj 时间 系统时间",
	"entries":        "rows row details detail list items 明细",
	"reversal":       "isreverse reverseflag reverse czbj 冲正",
}

// surrounding are values that do not come from the message: constants of the
// hospital and what is new at every attempt.
var surrounding = []struct{ words, cell, constant string }{
	{"opercode operid operator operatorid operno userid usercode usrid extuserid clientuser czydm czygh czy operatorcode 操作员 操作员代码 操作人", "", "operator"},
	{"hospitalid hospitalcode hospid hospcode orgcode orgid org organcode organid yljgdm jgdm yydm extorgcode branchcode 机构代码 医院代码 医院编码 医疗机构代码", "", "organisation"},
	{"appid appkey clientid customid clienttype sourcetype sourcecode source channelid partnerid merchantid termid terminalid clientip 来源 终端号", "", "client"},
	{"msgid messageid requestid reqid traceid uuid serialnumber nonce noncestr sequenceid transactionuuid", "= attempt.id", ""},
	{"reqtime requesttime timestamp sendtime calltime reqdate", "time", ""},
	{"token accesstoken ticket sessionid authorization", open, ""},
	{"sign signature signdata sig mac", open, ""},
	{"password pwd passwd userpwd operpwd secret appsecret secretkey", "secret", ""},
}

// callWords name the field that says which transaction a message is.
var callWords = words("service func tradecode transcode method action funcode function functioncode functionid servicecode serviceid servicename code businesscode busicode bizcode biztype methodcode methodname msgtype transtype tradetype cmd command interfacecode apicode opcode op 交易码 交易代码 功能号 方法名")

// codeWords name the field of an answer that says whether it was done, and
// wordsWords those that say why not.
var (
	codeWords  = words("resultcode returncode retcode rescode respcode responsecode rtncode code errcode errorcode result success status state flag ret rtn isok issuccess acknowledgmentcode ackcode infcode resultflag msgcode")
	wordsWords = words("resultmsg resultmessage returndesc returnmsg retmsg respmsg responsemsg rtnmsg message msg errmsg errormsg errormessage resultdesc resultcontent desc description msgtext error errordesc resulttext info reason remark errtext infmsg 说明 错误信息")
)

// lineNumberWords name the number of a line.
const lineNumberWords = "xh lineno seqno seq sortno itemno rowno serialno mxxh 序号 行号"

// plainName is a name without signs and capitals.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// prefixes are those that programmers put before names of parameters.
var prefixes = []string{"", "str", "p", "in", "v", "as", "s", "i", "pi", "av", "arg", "out", "po", "o"}

// marked are prefixes that a sign sets off.
var marked = regexp.MustCompile(`^(?i:p|in|v|as|i|o|out|pi|po|arg|par)_`)

// resemblance tells how much a HIS's field looks like one with these words, 0 to 120.
func resemblance(f Field, own string, list string) int {
	n := plainName(marked.ReplaceAllString(f.Name, ""))
	best := 0
	better := func(score int) { best = max(best, score) }
	own = plainName(own)
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(n, p); ok && rest == own && rest != "" {
			better(120 - len(p))
		}
	}
	for i, w := range words(list) {
		later := min(9, i) // the first words of a list are the surest
		if w[0] >= 0x80 {
			switch said := strings.TrimSpace(f.Words); {
			case f.Name == w || said == w:
				better(110)
			case strings.HasPrefix(said, w):
				better(90 + min(9, len(w)/3))
			case len(w) > 6 && (strings.Contains(said, w) || strings.Contains(f.Name, w)):
				better(80 + min(9, len(w)/3))
			}
			continue
		}
		for _, p := range prefixes {
			if p == "" && n == w || p != "" && len(w) > 2 && n == p+w {
				better(115 - len(p) - later)
			}
		}
		if len(w) > 5 && strings.HasSuffix(n, w) {
			better(60 + min(20, len(w)))
		}
	}
	return best
}

// likely finds the field of ours that a HIS's field looks like most.
func likely(f Field, among []canon) (canon, bool) {
	var found canon
	best := 59
	for _, c := range among {
		score := resemblance(f, c.name, fieldWords[c.name])
		if score > 0 && !suits(f, c) {
			continue
		}
		if _, several := separatorOf(f.Sample); several && c.is == isTexts && score > 0 {
			score += 30
		}
		if score > best {
			found, best = c, score
		}
	}
	return found, found.name != ""
}

// suits tells whether a field can hold what a field of ours is at all.
func suits(f Field, c canon) bool {
	many := c.is == isMany
	if f.leaf() {
		return !many && c.is != isRecord
	}
	return many || c.is == isRecord
}

// oneOf tells whether a name is one of the words.
func oneOf(name string, list []string) bool {
	n := plainName(name)
	for _, w := range list {
		if n == w {
			return true
		}
	}
	return false
}

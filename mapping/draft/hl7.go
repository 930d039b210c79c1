package draft

import (
	"slices"
	"strconv"
	"strings"
)

// hl7Words say in Chinese what stands where in HL7 v2 (2.4, chapters 2, 3, 4, 6), as
// far as a field of ours goes there; positions have no names to guess by.
var hl7Words = map[string]string{
	"PID.3": "患者编号", "PID.5": "患者姓名", "PID.7": "出生日期", "PID.8": "性别", "PID.11": "地址", "PID.13": "电话", "PID.19": "身份证号",
	"PV1.19": "就诊号", "PV1.3": "科室代码", "PV1.7": "医生代码",
	"ORC.2": "处方号", "ORC.9": "开方时间", "ORC.12": "医生代码", "ORC.13": "科室代码",
	"RXO.1": "药品代码", "RXO.2": "单次剂量", "RXO.4": "剂量单位", "RXO.11": "数量", "RXO.12": "单位",
	"RXE.2": "药品代码", "RXE.3": "单次剂量", "RXE.5": "剂量单位", "RXE.10": "数量", "RXE.11": "单位",
	"RXR.1": "给药途径", "DG1.3": "诊断代码", "DG1.4": "诊断名称",
	"FT1.2": "支付流水号", "FT1.4": "支付时间", "FT1.11": "金额",
}

// hl7 names what stands where, and leaves out what is filled by itself.
func (s *seen) hl7() {
	s.bare = true
	if s.framing == nil {
		s.framing = []entry{{key: "framing", value: "mllp"}}
	}
	for i := range s.fields {
		segment := &s.fields[i]
		if segment.Name == "MSH" {
			segment.Children = slices.DeleteFunc(segment.Children, func(f Field) bool { return f.Name == "1" || f.Name == "2" })
		}
		if segment.Name == "MSA" {
			s.answer = true
		}
		for j := range segment.Children {
			f := &segment.Children[j]
			for f.Words = hl7Words[segment.Name+"."+f.Name]; len(f.Children) > 0 && f.Words != ""; f = &f.Children[0] {
				f.Children[0].Words = f.Words
			}
		}
	}
}

// hl7Type is MSH-9, as ADT^A04.
func (s *seen) hl7Type() string {
	for _, segment := range s.fields {
		if segment.Name != "MSH" {
			continue
		}
		for _, f := range segment.Children {
			if f.Name != "9" {
				continue
			}
			if f.leaf() {
				return f.Sample
			}
			var parts []string
			for _, c := range f.Children {
				if n, _ := strconv.Atoi(c.Name); n <= 2 {
					parts = append(parts, c.Sample)
				}
			}
			return strings.Join(parts, "^")
		}
	}
	return ""
}

// hl7Field writes what of a header does not come from the message; ok is false
// for all else.
func hl7Field(segment, position string, f Field) (entry, bool) {
	if segment != "MSH" || !f.leaf() {
		return entry{}, false
	}
	switch position {
	case "7":
		layout := layoutOf(f)
		if layout == "" {
			layout = "yyyyMMddHHmmss"
		}
		return entry{key: position, value: "= time(attempt.time, " + text(layout) + ")", note: "guess"}, true
	case "10":
		return entry{key: position, value: "= left(attempt.id, 20)", note: "guess: new at every attempt; MSA-2 of the answer repeats it"}, true
	}
	return entry{key: position, value: literal(f.Sample, false)}, true
}

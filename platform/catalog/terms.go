package catalog

import "math/big"

// Frequency of taking (FHIR Timing.code), the platform's own; hospitals' codes are in
// their folders.
type Frequency struct {
	Code string `json:"code" example:"tid"`
	Name string `json:"name" example:"每日三次"`
	// Times and Days: so many times in so many days; 0 in 0 for what has no rhythm.
	Times int `json:"times"`
	Days  int `json:"days"`
}

// Route of taking (FHIR Dosage.route), the platform's own.
type Route struct {
	Code string `json:"code" example:"oral"`
	Name string `json:"name" example:"口服"`
}

// Frequencies and Routes that can be prescribed.
var (
	Frequencies = []Frequency{
		{"qd", "每日一次", 1, 1}, {"bid", "每日两次", 2, 1}, {"tid", "每日三次", 3, 1}, {"qid", "每日四次", 4, 1}, {"qn", "每晚一次", 1, 1}, {"hs", "睡前一次", 1, 1}, {"qm", "每晨一次", 1, 1},
		{"q2h", "每2小时一次", 12, 1}, {"q4h", "每4小时一次", 6, 1}, {"q6h", "每6小时一次", 4, 1}, {"q8h", "每8小时一次", 3, 1}, {"q12h", "每12小时一次", 2, 1},
		{"qod", "隔日一次", 1, 2}, {"qw", "每周一次", 1, 7}, {"biw", "每周两次", 2, 7}, {"tiw", "每周三次", 3, 7},
		{"prn", "必要时", 0, 0}, {"st", "立即", 0, 0},
	}
	Routes = []Route{
		{"oral", "口服"}, {"sublingual", "舌下含服"}, {"buccal", "含化"}, {"topical", "外用"}, {"wound", "敷伤口"}, {"throat", "喷喉"}, {"inhalation", "吸入"}, {"nasal", "滴鼻"}, {"ophthalmic", "滴眼"}, {"otic", "滴耳"},
		{"rectal", "直肠给药"}, {"vaginal", "阴道给药"}, {"subcutaneous", "皮下注射"}, {"intramuscular", "肌肉注射"}, {"intradermal", "皮内注射"}, {"intravenous", "静脉注射或静脉滴注"}, {"other", "其他"},
	}
)

// FrequencyOf finds a frequency by its code.
func FrequencyOf(code string) (Frequency, bool) {
	for _, f := range Frequencies {
		if f.Code == code {
			return f, true
		}
	}
	return Frequency{}, false
}

// RouteOf finds a route by its code.
func RouteOf(code string) (Route, bool) {
	for _, r := range Routes {
		if r.Code == code {
			return r, true
		}
	}
	return Route{}, false
}

// Daily is how much of a dose is taken in a day; nil for what has no rhythm.
func (f Frequency) Daily(dose *big.Rat) *big.Rat {
	if f.Days == 0 {
		return nil
	}
	return new(big.Rat).Mul(dose, big.NewRat(int64(f.Times), int64(f.Days)))
}

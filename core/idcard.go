package core

import (
	"errors"
	"strings"
	"time"
)

// ParseIDCard reads a resident identity card number (GB 11643): 17 digits and a check
// digit, a last x or X. It gives the birth date as yyyy-MM-dd and the sex.
func ParseIDCard(no string) (birthDate string, sex Sex, err error) {
	if len(no) != 18 || strings.Trim(no[:17], "0123456789") != "" {
		return "", "", errors.New("an identity card number has 18 places: 17 digits and a check digit or X")
	}
	if last := strings.ToUpper(no[17:]); last[0] != checkDigit(no[:17]) {
		return "", "", errors.New("the check digit of the identity card number is wrong: a digit is mistyped")
	}
	born, err := time.Parse("20060102", no[6:14])
	if err != nil || born.Year() < 1900 {
		return "", "", errors.New("the identity card number holds no date of birth")
	}
	sex = "female"
	if (no[16]-'0')%2 == 1 {
		sex = "male"
	}
	return born.Format(time.DateOnly), sex, nil
}

// checkDigit of the 17 digits (ISO 7064, MOD 11-2).
func checkDigit(body string) byte {
	sum := 0
	for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * weight
	}
	return "10X98765432"[sum%11]
}

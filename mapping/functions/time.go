package functions

import (
	"errors"
	"time"
)

const date = "yyyy-MM-dd"

func times(zone *time.Location) []Function {
	write := define("time", `time(time, layout) text: in the hospital's zone; layout of yyyy MM dd HH mm ss SSS XXX and literal text, or unix, unix_ms (since 1970); no time is an error`, func(in *arguments) (any, error) {
		l, err := parseLayout(in.text(1))
		if err != nil {
			return nil, err
		}
		return l.format(in.time(0).In(zone)), nil
	}, new(func(time.Time, string) string))
	write.literal = func(i int, text string) error {
		if i != 1 {
			return nil
		}
		_, err := parseLayout(text)
		return err
	}

	read := reader("from_time", `from_time(text, layout, ...) time: by the first layout that fits, in the hospital's zone unless the text has an offset; nil gives nil`, func(in *arguments) (any, error) {
		text := in.text(0)
		layouts := in.texts(1)
		if len(layouts) == 0 {
			return nil, errors.New("takes a layout")
		}
		for _, layout := range layouts {
			l, err := parseReadable(layout)
			if err != nil {
				return nil, err
			}
			if t, ok := l.parse(text, zone); ok {
				return t, nil
			}
		}
		return nil, errors.New("the text fits no layout")
	}, new(func(string, string, ...string) time.Time))
	read.literal = func(i int, text string) error {
		if i == 0 {
			return nil
		}
		_, err := parseReadable(text)
		return err
	}

	add := define("add", `add(time, "72h") time: later by hours, minutes, seconds ("1h30m"), earlier with a minus`, func(in *arguments) (any, error) {
		d, err := parseDuration(in.text(1))
		return in.time(0).Add(d), err
	}, new(func(time.Time, string) time.Time))
	add.literal = func(i int, text string) error {
		if i != 1 {
			return nil
		}
		_, err := parseDuration(text)
		return err
	}

	return []Function{write, read, add,
		define("age", `age(birth, time) number: whole years at that time in the hospital's zone; birth is a time or text yyyy-MM-dd`, func(in *arguments) (any, error) {
			birth, at := in.birth(0, zone), in.time(1).In(zone)
			years := at.Year() - birth.Year()
			if at.Month() < birth.Month() || at.Month() == birth.Month() && at.Day() < birth.Day() {
				years--
			}
			if years < 0 {
				return nil, errors.New("the birth is later than the time")
			}
			return years, nil
		}, new(func(string, time.Time) int), new(func(time.Time, time.Time) int)),
	}
}

func parseReadable(text string) (layout, error) {
	l, err := parseLayout(text)
	if err != nil {
		return nil, err
	}
	return l, l.readable()
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New(`takes a duration like "72h" or "-30m"`)
	}
	return d, nil
}

func (in *arguments) birth(i int, zone *time.Location) time.Time {
	if _, ok := in.at(i).(time.Time); ok {
		return in.time(i).In(zone)
	}
	l, _ := parseLayout(date)
	birth, ok := l.parse(in.text(i), zone)
	if !ok {
		in.wrong(errors.New("takes a birth like " + date))
	}
	return birth
}

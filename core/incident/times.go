package incident

import (
	"sync"
	"time"
	_ "time/tzdata" // hospitals' zones, also where the machine has none
)

// UsualZone is where hospitals are, unless something says otherwise.
const UsualZone = "Asia/Shanghai"

var usual = sync.OnceValue(func() *time.Location {
	zone, err := time.LoadLocation(UsualZone)
	if err != nil {
		panic(err) // it is in the program, see the import
	}
	return zone
})

// At is a time for people: in the hospital's zone (nil is the usual one), with its name,
// to the second.
func At(t time.Time, zone *time.Location) string {
	if zone == nil {
		zone = usual()
	}
	name := zone.String()
	if name == "" || name == "Local" {
		name = t.In(zone).Format("-0700")
	}
	return t.In(zone).Format(time.DateTime) + " " + name
}

// dayAt is the day of a time there, yyyy-MM-dd.
func dayAt(t time.Time, zone *time.Location) string { return At(t, zone)[:len(time.DateOnly)] }

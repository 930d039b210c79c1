package incident

import "time"

// Thresholds say from when on something is an incident. What is counted ends at half
// of its threshold, so that nothing opens and resolves by turns.
type Thresholds struct {
	// Backlog is how long the oldest may wait, Breaker how long the HIS may not answer.
	Backlog, Breaker time.Duration
	// Failures is the share of exchanges, 0 to 1, of the last RateWindow, when they
	// were at least FailuresOf.
	Failures   float64
	FailuresOf int
	// ParkedGrowth is how many are parked within GrowthWindow.
	ParkedGrowth int
	// Clock is how far the HIS's may be off, in either direction.
	Clock time.Duration
	// Certificate and CertificateEnds are how long before its end.
	Certificate, CertificateEnds time.Duration
}

// DefaultThresholds hold where nobody says otherwise.
func DefaultThresholds() Thresholds {
	return Thresholds{
		Backlog: 10 * time.Minute, Breaker: time.Minute, Failures: 0.2, FailuresOf: 20, ParkedGrowth: 20,
		Clock: 2 * time.Minute, Certificate: 30 * 24 * time.Hour, CertificateEnds: 7 * 24 * time.Hour,
	}
}

const (
	// RateWindow is what Rates look back at.
	RateWindow = 10 * time.Minute
	// Steady is how long a breaker must be closed until its incident is over.
	Steady = 5 * time.Minute
	// GrowthWindow is what counts as lately parked.
	GrowthWindow = 30 * time.Minute
)

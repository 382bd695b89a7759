package store

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// draw is what is asked of one counter. Charges on the same counter are one draw.
//
// A rate and a quota are both a room of which some is taken: of a rate the microseconds
// until its bucket is full again, which is how far GCRA's theoretical arrival time lies
// ahead (ITU-T I.371, annex A); of a quota how many were spent. A step fits if
// taken + step <= room. All of it stays below 2^53, which a Lua number holds exactly: the
// room is at most 2^49 (policy.Limit.Check), so is what is taken of a rate, and the time of
// day in microseconds is below 2^52 until the year 2112.
type draw struct {
	limit *policy.Limit
	key   string
	cost  int64
	unit  int64 // of the room, for one: a rate's interval in microseconds, or 1
	room  int64
	start time.Time // of a quota's period
	end   time.Time
}

// quotaGrace is how long a count outlives its period: a clock that is set back a little
// finds it again.
const quotaGrace = time.Minute

func newDraw(c *policy.Charge, at time.Time) draw {
	d := draw{limit: c.Limit, cost: max(1, c.Cost), unit: 1, room: c.Limit.Quota.Count}
	if d.isQuota() {
		d.start, d.end = c.Limit.Quota.Window(at)
	} else {
		d.unit = c.Limit.Rate.Interval().Microseconds()
		d.room = c.Limit.Rate.Burst * d.unit
	}
	d.key = counterKey(c, d.start)
	return d
}

func (d *draw) isQuota() bool { return d.limit.Quota.Count > 0 }

// step is the cost in units of the room, just above the room when it never fits.
func (d *draw) step() int64 {
	if d.cost > d.room/d.unit {
		return d.room + 1
	}
	return d.cost * d.unit
}

func (d *draw) fits(taken int64) bool { return taken+d.step() <= d.room }

// balance is what Spend answers of a counter of which so much was taken before, and from
// which is drawn if all of its slot fits.
func (d *draw) balance(taken int64, now time.Time, drawn bool) policy.Balance {
	b := policy.Balance{Limit: d.limit, Allowed: d.fits(taken)}
	if !b.Allowed {
		b.RetryAfter = micros(taken + d.step() - d.room)
	}
	if drawn {
		taken += d.step()
	}
	b.Remaining = max(0, d.room-taken) / d.unit
	b.Reset = micros(taken)
	if d.isQuota() {
		b.Reset = max(0, d.end.Sub(now))
		if !b.Allowed {
			b.RetryAfter = b.Reset
		}
	}
	return b
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// drawsOf adds up the charges of a slot, which are few. The second result says which draw
// each charge is part of.
func drawsOf(charges []policy.Charge, at time.Time) (draws []draw, of []int) {
	draws, of = make([]draw, 0, len(charges)), make([]int, len(charges))
next:
	for i := range charges {
		d := newDraw(&charges[i], at)
		for j := range draws {
			if draws[j].key == d.key {
				of[i] = j
				draws[j].cost += min(d.cost, math.MaxInt64-draws[j].cost)
				continue next
			}
		}
		of[i] = len(draws)
		draws = append(draws, d)
	}
	return draws, of
}

// inSlots asks about the charges of one slot after the other, in the order in which the
// slots first come, until one refuses. The balances are in the order of the charges.
func inSlots(charges []policy.Charge, ask func([]policy.Charge) ([]policy.Balance, error)) ([]policy.Balance, error) {
	if len(charges) == 0 {
		return nil, nil
	}
	if oneSlot(charges) { // nearly always
		return ask(charges)
	}
	balances := make([]policy.Balance, len(charges))
	for first := range charges {
		if balances[first].Limit != nil {
			continue
		}
		refused, err := askSlot(charges, first, balances, ask)
		if err != nil {
			return nil, err
		}
		if refused {
			break
		}
	}
	asked := balances[:0]
	for _, b := range balances {
		if b.Limit != nil {
			asked = append(asked, b)
		}
	}
	return asked, nil
}

func oneSlot(charges []policy.Charge) bool {
	for i := range charges {
		if charges[i].Slot != charges[0].Slot {
			return false
		}
	}
	return true
}

// askSlot asks about the slot whose first charge is given, and fills in its balances.
func askSlot(charges []policy.Charge, first int, balances []policy.Balance, ask func([]policy.Charge) ([]policy.Balance, error)) (refused bool, err error) {
	var slot []policy.Charge
	var at []int
	for i := first; i < len(charges); i++ {
		if charges[i].Slot == charges[first].Slot {
			slot, at = append(slot, charges[i]), append(at, i)
		}
	}
	answers, err := ask(slot)
	if err != nil {
		return false, err
	}
	for i, b := range answers {
		balances[at[i]] = b
		refused = refused || !b.Allowed
	}
	return refused, nil
}

// counterKey names a counter:
//
//	stile:{<slot>}:limit:<name>[:<counter>]                  string  time at which the bucket is full, µs, EXAT
//	stile:{<slot>}:quota:<name>[:<counter>]:<period's start> int     what was spent, EXAT
//	stile:{<slot>}:paid:<nonce>                              string  a debt that was paid (meter_debts.go), EX
func counterKey(c *policy.Charge, start time.Time) string {
	isQuota := c.Limit.Quota.Count > 0
	key := append(make([]byte, 0, 128), "stile:{"...)
	key = append(key, hashTag(c.Slot)...)
	if isQuota {
		key = append(key, "}:quota:"...)
	} else {
		key = append(key, "}:limit:"...)
	}
	key = append(key, c.Limit.Name...)
	if c.Counter != "" {
		key = append(append(key, ':'), c.Counter...)
	}
	if isQuota {
		key = strconv.AppendInt(append(key, ':'), start.Unix(), 10)
	}
	return string(key)
}

// hashTag writes what is not plain in a slot as %XX: a brace would end the tag, and with
// an empty one a script's keys would lie in different slots of a cluster.
func hashTag(slot string) string {
	if strings.IndexFunc(slot, func(r rune) bool { return r > 0x7F || !isPlain(byte(r)) }) < 0 && slot != "" {
		return slot
	}
	tag := []byte{}
	for i := range len(slot) {
		if isPlain(slot[i]) {
			tag = append(tag, slot[i])
		} else {
			tag = append(tag, '%', "0123456789ABCDEF"[slot[i]>>4], "0123456789ABCDEF"[slot[i]&15])
		}
	}
	if len(tag) == 0 {
		return "%"
	}
	return string(tag)
}

func isPlain(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte(":._@-", c) >= 0
}

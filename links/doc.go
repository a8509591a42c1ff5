// Package links knows the operator's links: which connection is on which, how
// fast, when and how much may pass there, and what passed.
//
// # Use
//
//	set, err := links.Open(links.Options{Path: "ledger.json", Links: configured})
//	link := set.Find(local, remote)           // of a connection
//	left, err := link.Admit(use)              // may a session begin? err is a *links.Closed
//	granted, wait, err := link.Take(use, n, links.Up)
//	err = set.Close()                         // writes the exact figures
//
// # Links
//
// A link has a name and says which connections it takes: by prefixes of the
// remote address, by the local interface or address, or both. The longest
// prefix wins; the link named "default" takes the rest, and is there whether or
// not it is configured. It has a class, a rate in each direction, a schedule, a
// budget of bytes for each day and month, and may be metered.
//
// # What is counted
//
// Two kinds, up and down together, on one account:
//
//	data:    what sessions of transfer move. It is asked for before ([Link.Take]),
//	         and so never passes a budget.
//	control: everything else that passes over connections ([Link.Charge]): it is
//	         counted once it has passed, makes data wait for the rate, and uses
//	         up the same budgets. It may pass a budget; whoever makes it asks
//	         [Link.Admit] first, and the figures show what passed all the same.
//
// Of both the bytes on streams count, and for each packet's worth of them, 1400
// bytes or fewer, 100 bytes of headers and acknowledgements (see [WireBytes]),
// and 3,000 bytes for each connection (see [ConnBytes]). These are estimates:
// small packets cost less or more, and what is lost and sent again is not seen.
//
// # The ledger
//
// What a link carried on each local day and in each month is kept in one file.
// It is written ahead: before more passes than the file says, the file is made
// to say more, by as much as the link carries in about two seconds. So
//
//	after a crash at any instruction, kill -9 or a power cut, the file says at
//	least what had passed, and at most so much more: 16 KiB to 256 MiB, no more
//	than 1/64 of the budget (or 16 KiB) and than what was left of it;
//	after Close it is exact.
//
// That holds for data. Control traffic is written down when it is charged.
//
// Days and months are those of the local clock, which may jump:
//
//	forward to a day never seen: a new budget;
//	to any other day: no less is spent of it than of the day before the jump.
//
// So a clock that goes back never gives budget back, and one that went astray
// and returned costs at most the budget of the day on which it did.
//
// # Bounds
//
// At most 16 links; of the ledger 35 days and 14 months for each of at most 64
// names. A rate holds over any time: in t seconds rate × t bytes and one burst
// (a quarter of a second's worth, 4 KiB at least) pass, and what is read at once
// beside.
//
// Not promised: what a peer has sent already when a bound is reached, and is
// not read any more, is not counted; it is bounded by what was asked for, or by
// the stream's window (2 MiB at most).
//
// Only package node imports links. It uses neither libp2p nor goroutines.
package links

// Package sigma detects what rules in the Sigma format, version 2, describe:
// plain rules, which look at one event, and correlations, which count events
// by event time. Rules are compiled to functions when they are loaded.
//
// # What is understood
//
// Detections: maps, lists, lists of maps, keywords over all texts of the
// event, wildcards and escapes, null; the modifiers contains, startswith,
// endswith, all, cased, re with i, m and s, cidr, gt, gte, lt, lte, neq,
// exists, fieldref, expand, minute, hour, day, week, month and year;
// conditions with and, or, not, brackets, "1 of", "any of", "all of" patterns
// or them, and lists of conditions. Filters. Correlations event_count,
// value_count, value_sum, value_avg, temporal and temporal_ordered: see
// [Correlation]. Everything else is refused when the rule is loaded, with the
// file, the line and the reason: see [Problem].
//
// # How it is understood
//
// Field names are those of the Elastic Common Schema, and Sigma's and Zeek's
// names for the same things. A rule sees only events of its log source; one
// for firewalls sees all of them.
//
// Text is compared without regard to case by Unicode's simple folding;
// numbers and addresses by their value; a list (network.protocol, dns.answers)
// matches by any of its elements. What is absent matches null and the
// empty text, which events do not tell apart, and nothing else: not neq, not
// "less than". A field that no event holds leaves open whether its part of the
// rule matches. A rule matches what it surely matches, so such a part of an
// alternative is passed over with a warning, and a rule that no event surely
// matches without the field is refused, also where it only excludes by it.
//
// # What a verdict depends on
//
// The verdict on an event depends on its partition's log alone: on the record
// itself and, where there are correlations, on the records of a fixed number
// of offsets before it, which a classifier must have read: see
// [Classifier.History]. Batches, restarts and the number of consumers change
// nothing.
package sigma

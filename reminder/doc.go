// Package reminder is the pure core of duewatch: what a bill is, which
// reminders its due date calls for, whether one of them should be texted now,
// and in which words.
//
// It promises that the same input gives the same answer: no I/O, no clock, no
// logging, no state. The jobs (package scheduler), the previews and the
// explanations all ask this one package, so that what an operator sees and
// what a customer receives cannot differ.
//
// The path through it is plan.go (when), decide.go and
// balance.go (whether, and why), word.go (in which words) and segment.go (at what cost).
package reminder

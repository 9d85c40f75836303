// Command policies compares what `penstock serve` does with each policy to what
// `penstock fleet` foretells: simulated engines in a process of their own, the
// router before them, the load generator, one after the other, and one table.
//
// Engines, arrivals and report run faster than the engines that are simulated, as
// fast as two cores take it: it is the generator's own lateness, in the table, that
// says whether they do.
package main

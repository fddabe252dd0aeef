/*
 * clock: measure how long something takes.
 *
 *	double begun = clock_now();
 *	...
 *	double seconds = clock_now() - begun;
 */
#ifndef DT_CLOCK_H
#define DT_CLOCK_H

/* Seconds since a point in the past, the same one in the life of the process. */
double clock_now(void);

#endif

/*
 * sandbox-private: the two mechanisms of a sandbox.
 */
#ifndef DT_SANDBOX_PRIVATE_H
#define DT_SANDBOX_PRIVATE_H

struct sandbox;

/* Restrict the process. End the process on failure. */
void sandbox_restrict_files(const struct sandbox *s);
void sandbox_restrict_calls(const struct sandbox *s);

#endif

/*
 * sandbox-private: the two mechanisms of a sandbox.
 */
#ifndef DT_SANDBOX_PRIVATE_H
#define DT_SANDBOX_PRIVATE_H

#include <stdbool.h>

struct sandbox;

/* The leak sanitizer forks and traces the process, which a sandbox forbids. */
#if defined __SANITIZE_ADDRESS__
enum { SANDBOX_IS_TRACED = true };
#elif defined __has_feature
#if __has_feature(address_sanitizer)
enum { SANDBOX_IS_TRACED = true };
#else
enum { SANDBOX_IS_TRACED = false };
#endif
#else
enum { SANDBOX_IS_TRACED = false };
#endif

/* Restrict the process. End the process on failure. */
void sandbox_restrict_files(const struct sandbox *s);
void sandbox_restrict_calls(const struct sandbox *s);

#endif

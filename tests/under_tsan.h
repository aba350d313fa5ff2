/* Whether the test program was built with ThreadSanitizer, under which what one thread does alone
 * takes long and shows nothing. */
#ifndef TANDEM_TESTS_UNDER_TSAN_H
#define TANDEM_TESTS_UNDER_TSAN_H

#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
static const bool under_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
static const bool under_tsan = true;
#else
static const bool under_tsan = false;
#endif
#else
static const bool under_tsan = false;
#endif

#endif

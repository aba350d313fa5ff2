/* The watcher: one thread that notices clients that left and deadlines that passed.
 *
 * Every connection is watched while it is open. A client that closes its side ends the
 * generations that work for it at the next step of the engine. A deadline bounds each phase of a
 * connection: while a request is received the connection is closed at its deadline; while an
 * answer is made its generations are cancelled first, and the connection closed some seconds
 * later, so that the client can be told.
 */
#ifndef TANDEM_SERVE_WATCH_H
#define TANDEM_SERVE_WATCH_H

#include "base/error.h"
#include "engine/engine.h"

struct watcher;
struct watch;

enum status watcher_create(struct watcher **watcher, struct error *err);
/* Every connection must have been left. */
void watcher_free(struct watcher *watcher);
/* Cancels every generation that is watched, those that come later included. */
void watcher_cancel_all(struct watcher *watcher);

/* Watches a connected socket; `seconds` from now it is closed. NULL when out of memory. */
struct watch *watch_begin(struct watcher *watcher, int fd, double seconds);
void watch_end(struct watch *watch);
/* A new deadline, `seconds` from now, for the phase that begins. */
void watch_deadline(struct watch *watch, double seconds);
/* The same where an answer is made from now on. */
void watch_answer(struct watch *watch, double seconds);
/* While the watch holds generations the client's leaving and the deadline cancel them. The array
 * stays the caller's until watch_release(). */
void watch_generations(struct watch *watch, struct generation *const *generations, size_t n);
void watch_release(struct watch *watch);

bool watch_client_left(const struct watch *watch);
bool watch_is_late(const struct watch *watch); /* the deadline of an answer passed */
bool watch_was_cut(const struct watch *watch); /* closed, because a deadline passed */

#endif

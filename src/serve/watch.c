#include "serve/watch.h"
#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* How late a deadline may be noticed, and how long a client has to read that it passed. */
enum { TICK_MILLISECONDS = 250 };
static const double GRACE_SECONDS = 5;

struct watch {
    struct watcher *watcher;
    uint64_t serial; /* names the watch in epoll's events, which may outlive it */
    int fd;
    double deadline;
    bool is_answering;
    struct generation *const *generations;
    size_t n_generations;
    atomic_bool left, late, cut;
    struct watch *next, **link;
};

struct watcher {
    pthread_t thread;
    pthread_mutex_t mutex;
    int epoll, wake; /* wake: an eventfd, the first watch or the end */
    struct watch *watches;
    uint64_t serials;
    bool cancelling, closing;
};

static void cancel(const struct watch *w)
{
    for (size_t i = 0; i < w->n_generations; i++)
        generation_cancel(w->generations[i]);
}

static void pass_deadline(struct watch *w, double now)
{
    if (w->is_answering && !atomic_load(&w->late)) {
        atomic_store(&w->late, true);
        cancel(w);
        w->deadline = now + GRACE_SECONDS;
    } else {
        atomic_store(&w->cut, true);
        shutdown(w->fd, SHUT_RDWR);
        w->deadline = now + GRACE_SECONDS;
    }
}

static void client_left(struct watcher *watcher, uint64_t serial)
{
    for (struct watch *w = watcher->watches; w; w = w->next)
        if (w->serial == serial) {
            atomic_store(&w->left, true);
            cancel(w);
        }
}

static void take_events(struct watcher *watcher, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        uint64_t count;
        if (events[i].data.u64)
            client_left(watcher, events[i].data.u64);
        else if (read(watcher->wake, &count, sizeof count) < 0)
            continue; /* somebody else's wake-up: nothing to take */
    }
    double now = clock_seconds();
    for (struct watch *w = watcher->watches; w; w = w->next)
        if (now >= w->deadline)
            pass_deadline(w, now);
}

static void *watch_all(void *context)
{
    struct watcher *watcher = context;
    struct epoll_event events[32];
    int timeout = -1;
    bool closing = false;
    while (!closing) {
        int n = epoll_wait(watcher->epoll, events, sizeof events / sizeof *events, timeout);
        pthread_mutex_lock(&watcher->mutex);
        take_events(watcher, events, n);
        timeout = watcher->watches ? TICK_MILLISECONDS : -1;
        closing = watcher->closing;
        pthread_mutex_unlock(&watcher->mutex);
    }
    return NULL;
}

static void wake(struct watcher *watcher)
{
    uint64_t one = 1;
    while (write(watcher->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

enum status watcher_create(struct watcher **out, struct error *err)
{
    struct watcher *w = mem_alloc(sizeof *w);
    *out = NULL;
    if (!w)
        return error_memory(err, "the watcher of connections");
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&w->mutex, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event) ||
        pthread_create(&w->thread, NULL, watch_all, w)) {
        enum status status = error_errno(err, "cannot start the watcher of connections");
        close(w->epoll);
        close(w->wake);
        mem_free(w);
        return status;
    }
    *out = w;
    return STATUS_OK;
}

void watcher_free(struct watcher *watcher)
{
    if (!watcher)
        return;
    pthread_mutex_lock(&watcher->mutex);
    watcher->closing = true;
    pthread_mutex_unlock(&watcher->mutex);
    wake(watcher);
    pthread_join(watcher->thread, NULL);
    close(watcher->epoll);
    close(watcher->wake);
    pthread_mutex_destroy(&watcher->mutex);
    mem_free(watcher);
}

void watcher_cancel_all(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->mutex);
    watcher->cancelling = true;
    for (struct watch *w = watcher->watches; w; w = w->next)
        cancel(w);
    pthread_mutex_unlock(&watcher->mutex);
}

struct watch *watch_begin(struct watcher *watcher, int fd, double seconds)
{
    struct watch *w = mem_alloc(sizeof *w);
    if (!w)
        return NULL;
    *w = (struct watch){.watcher = watcher, .fd = fd, .deadline = clock_seconds() + seconds};
    pthread_mutex_lock(&watcher->mutex);
    w->serial = ++watcher->serials;
    w->next = watcher->watches;
    w->link = &watcher->watches;
    if (w->next)
        w->next->link = &w->next;
    watcher->watches = w;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.u64 = w->serial};
    bool was_idle = !w->next;
    epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, fd, &event); /* without it deadlines still hold */
    pthread_mutex_unlock(&watcher->mutex);
    if (was_idle)
        wake(watcher);
    return w;
}

void watch_end(struct watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->watcher->mutex);
    epoll_ctl(w->watcher->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    pthread_mutex_unlock(&w->watcher->mutex);
    mem_free(w);
}

static void begin_phase(struct watch *w, bool is_answering, double seconds)
{
    pthread_mutex_lock(&w->watcher->mutex);
    w->deadline = clock_seconds() + seconds;
    w->is_answering = is_answering;
    atomic_store(&w->late, false);
    pthread_mutex_unlock(&w->watcher->mutex);
}

void watch_deadline(struct watch *w, double seconds)
{
    begin_phase(w, false, seconds);
}

void watch_answer(struct watch *w, double seconds)
{
    begin_phase(w, true, seconds);
}

void watch_generations(struct watch *w, struct generation *const *generations, size_t n)
{
    pthread_mutex_lock(&w->watcher->mutex);
    w->generations = generations;
    w->n_generations = n;
    if (atomic_load(&w->left) || atomic_load(&w->late) || w->watcher->cancelling)
        cancel(w);
    pthread_mutex_unlock(&w->watcher->mutex);
}

void watch_release(struct watch *w)
{
    watch_generations(w, NULL, 0);
}

bool watch_client_left(const struct watch *w)
{
    return atomic_load(&w->left);
}

bool watch_was_cut(const struct watch *w)
{
    return atomic_load(&w->cut);
}

bool watch_is_late(const struct watch *w)
{
    return atomic_load(&w->late);
}

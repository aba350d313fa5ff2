/* Status codes and error messages, used by every module.
 *
 * A function that can fail returns an `enum status` and takes a `struct error *`, which it
 * fills with one sentence that names the place (file, tensor, offset, field), what was
 * expected, what was found and, where there is one, the remedy. Callers add their own
 * context in front with error_prefix(). A NULL `struct error *` is allowed everywhere.
 *
 *     struct error err = {0};
 *     if (file_map(path, &map, &err))
 *         return error_prefix(&err, "loading %s", name);
 */
#ifndef TANDEM_BASE_ERROR_H
#define TANDEM_BASE_ERROR_H

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,     /* the caller's argument or request is wrong */
    STATUS_FORMAT,      /* a file or document is truncated, corrupt or malformed */
    STATUS_UNSUPPORTED, /* well-formed, but something Tandem does not do */
    STATUS_IO,          /* the operating system refused */
    STATUS_MEMORY,      /* out of memory */
    STATUS_LIMIT,       /* a bound on time, steps, depth or size was reached */
    STATUS_CANCELLED,   /* the caller asked to stop */
    STATUS_NOT_FOUND,   /* no such file, name or entry */
};

struct error {
    enum status status;
    char message[1000];
};

/* Set `err` (may be NULL) and return `status`, so that failing reads `return error_set(...)`.
 * Messages that do not fit are cut and end in "..."; control characters in them are replaced. */
enum status error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* STATUS_IO (or STATUS_NOT_FOUND for ENOENT) with strerror(errno) after the text, and what to do
 * about a full disk. */
enum status error_errno(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "text: " in front of the message that is there; returns the status that is there. */
enum status error_prefix(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* STATUS_MEMORY: "out of memory for <what>". */
enum status error_memory(struct error *err, const char *what);

/* "invalid argument", "corrupt", ... for logs and JSON. */
const char *status_name(enum status status);

#endif

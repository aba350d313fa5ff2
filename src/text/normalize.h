/* Unicode normalisation forms of UTF-8 text, in linear time whatever the text is. */
#ifndef TANDEM_TEXT_NORMALIZE_H
#define TANDEM_TEXT_NORMALIZE_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum normal_form { FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD };

/* Appends the normalised text, which must be valid UTF-8. */
enum status normalize_append(enum normal_form form, const char *text, size_t length,
                             struct strbuf *out, struct error *err);
/* Whether the text is in NFC by a quick look; false means that it may not be. */
bool normalize_is_nfc(const char *text, size_t length);
/* Whether the code point is its own NFC wherever it stands: it has no combining class, and
 * neither composes with what precedes it nor decomposes. Not all such are known here. */
bool normalize_is_inert(uint32_t c);

#endif

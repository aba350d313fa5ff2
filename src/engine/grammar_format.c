#include "engine/grammar_format.h"

#include <string.h>

/* Years 0001 to 9999; the 29th of February in leap years. */
#define YEAR "(?:[1-9]\\d{3}|0[1-9]\\d\\d|00[1-9]\\d|000[1-9])"
#define LEAP_TENS "(?:0[48]|[2468][048]|[13579][26])"
#define LEAP_YEAR "(?:\\d\\d" LEAP_TENS "|" LEAP_TENS "00)"
#define DATE                                                                                       \
    "(?:" YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|"                                  \
    "(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|" LEAP_YEAR "-02-29)"
#define HOUR_MINUTE "(?:[01]\\d|2[0-3]):[0-5]\\d"
#define TIME HOUR_MINUTE ":[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]" HOUR_MINUTE ")"

#define N "\\d{1,9}"
#define DURATION_TIME "T(?:" N "H(?:" N "M(?:" N "S)?)?|" N "M(?:" N "S)?|" N "S)"
#define DURATION_DATE "(?:" N "Y(?:" N "M(?:" N "D)?)?|" N "M(?:" N "D)?|" N "D)"
#define DURATION "P(?:" N "W|" DURATION_DATE "(?:" DURATION_TIME ")?|" DURATION_TIME ")"

/* A label has no two hyphens together: so it is none of the encoded ones, "xn--...". */
#define LABEL "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
#define HOST LABEL "(?:\\." LABEL ")*"
#define SHORT_LABELS "[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63})*"
#define ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"

#define ADDRESS ATOM "(?:\\." ATOM ")*@" HOST
#define ADDRESS_LENGTHS "[!-?A-~]{1,64}@" SHORT_LABELS

#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4 BYTE "(?:\\." BYTE "){3}"
#define H "[0-9A-Fa-f]{1,4}"
#define IPV6                                                                                       \
    "(?:(?:" H ":){7}" H "|(?:" H ":){1,7}:|:(?::" H "){1,7}|::|(?:" H ":){1,6}:" H "|"            \
    "(?:" H ":){1,5}(?::" H "){1,2}|(?:" H ":){1,4}(?::" H "){1,3}|"                               \
    "(?:" H ":){1,3}(?::" H "){1,4}|(?:" H ":){1,2}(?::" H "){1,5}|" H ":(?::" H "){1,6})"

#define HEX "[0-9A-Fa-f]"
#define UUID HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}"

/* RFC 3986, with a scheme. */
#define ESCAPED "%" HEX HEX
#define PCHAR "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|" ESCAPED ")"
#define REG_NAME "(?:[A-Za-z0-9._~!$&'()*+,;=-]|" ESCAPED ")*"
#define USER "(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|" ESCAPED ")*@)?"
#define AUTHORITY USER "(?:\\[" IPV6 "\\]|" REG_NAME ")(?::\\d{0,5})?"
#define PATH_ON "(?:/" PCHAR "*)*"
#define HIERARCHY "(?://" AUTHORITY PATH_ON "|/(?:" PCHAR "+" PATH_ON ")?|" PCHAR "+" PATH_ON ")?"
#define QUERY "(?:" PCHAR "|[/?])*"
#define REST "(?:\\?" QUERY ")?(?:#" QUERY ")?"
#define URI "[A-Za-z][A-Za-z0-9+.-]*:" HIERARCHY REST
#define FIRST_SEGMENT "(?:[A-Za-z0-9._~!$&'()*+,;=@-]|" ESCAPED ")+"
#define RELATIVE                                                                                   \
    "(?://" AUTHORITY PATH_ON "|/(?:" PCHAR "+" PATH_ON ")?|" FIRST_SEGMENT PATH_ON ")?" REST
#define URI_REFERENCE "(?:" URI "|" RELATIVE ")"
#define URI_TEMPLATE                                                                               \
    "(?:[A-Za-z0-9._~!$&()*+,;=:@/?#-]|" ESCAPED                                                   \
    "|\\{[+#./;?&]?[A-Za-z_]\\w*(?:,[A-Za-z_]\\w*)*\\})*"

#define POINTER "(?:/(?:[^~/]|~[01])*)*"
#define RELATIVE_POINTER "(?:0|[1-9]\\d{0,8})(?:#|" POINTER ")"

const char format_names[] =
    "date, time, date-time, duration, uuid, email, idn-email, hostname, idn-hostname, ipv4, ipv6, "
    "uri, uri-reference, uri-template, iri, iri-reference, json-pointer, relative-json-pointer";

/* Of the international ones those that need no table: the same as the others. */
const struct string_format *format_named(const char *name)
{
    static const struct string_format formats[] = {
        {"date", {DATE}, UINT32_MAX},
        {"time", {TIME}, UINT32_MAX},
        {"date-time", {DATE "T" TIME}, UINT32_MAX},
        {"duration", {DURATION}, UINT32_MAX},
        {"uuid", {UUID}, UINT32_MAX},
        {"email", {ADDRESS, ADDRESS_LENGTHS}, 254},
        {"idn-email", {ADDRESS, ADDRESS_LENGTHS}, 254},
        {"hostname", {HOST, SHORT_LABELS}, 253},
        {"ipv4", {IPV4}, UINT32_MAX},
        {"ipv6", {IPV6}, UINT32_MAX},
        {"idn-hostname", {HOST, SHORT_LABELS}, 253},
        {"uri", {URI}, UINT32_MAX},
        {"iri", {URI}, UINT32_MAX},
        {"uri-reference", {URI_REFERENCE}, UINT32_MAX},
        {"iri-reference", {URI_REFERENCE}, UINT32_MAX},
        {"uri-template", {URI_TEMPLATE}, UINT32_MAX},
        {"json-pointer", {POINTER}, UINT32_MAX},
        {"relative-json-pointer", {RELATIVE_POINTER}, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(name, formats[i].name))
            return &formats[i];
    return NULL;
}

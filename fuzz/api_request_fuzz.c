/* Requests for answers: the first byte says of which kind; the rest is the body. Bodies are then
 * read as an answer with tool calls, too. */
#include "base/json.h"
#include "serve/api_request.h"
#include "serve/tool_calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_calls(const char *text, size_t length)
{
    struct tool_reader reader = {0};
    struct strbuf content = {0};
    json_t *calls = json_array();
    tool_reader_push(&reader, text, length / 2, false, &content, calls);
    tool_reader_push(&reader, text + length / 2, length - length / 2, true, &content, calls);
    json_decref(calls);
    strbuf_free(&content);
    tool_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    struct api_request request;
    struct api_error error = {0};
    json_t *document = json_parse("the request body", text, size - 1, NULL);
    api_request_read(data[0] & 1 ? API_CHAT : API_COMPLETION, document, &request, &error);
    if (error.http)
        json_decref(api_error_json(&error));
    api_request_free(&request);
    json_decref(document);
    read_calls(text, size - 1);
    return 0;
}

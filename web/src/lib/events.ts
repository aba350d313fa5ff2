// Server-sent events: the data of each, as they arrive.
export async function* readEvents(reply: Response): AsyncGenerator<string> {
  const reader = reply.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = events.pop()!;
      for (const event of events)
        if (event.startsWith("data: ")) yield event.slice("data: ".length);
    }
  } finally {
    reader.cancel().catch(() => {}); // the reader of the events may have left early
  }
}

// Encodes JSON lines {"text"} on stdin with the tokenizer of a folder, without special tokens
// being added: {"ids"} per line. For tests/hf_tokenizers_test.py.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Tokenizer } from '@huggingface/tokenizers';

const read = (name) => JSON.parse(readFileSync(`${process.argv[2]}/${name}`, 'utf8'));
const tokenizer = new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
for await (const line of createInterface({ input: process.stdin })) {
    const { ids } = tokenizer.encode(JSON.parse(line).text, { add_special_tokens: false });
    console.log(JSON.stringify({ ids: Array.from(ids) }));
}

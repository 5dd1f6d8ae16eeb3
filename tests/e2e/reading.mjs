// Reads a URL with Node's own fetch, which asks for gzip and unpacks it, and prints what it reads.
const answer = await fetch(process.argv[2]);
process.stderr.write(`${answer.status} ${answer.headers.get("content-encoding")}\n`);
for await (const part of answer.body) process.stdout.write(part);

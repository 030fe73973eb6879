// Reads an AsyncAPI document on stdin, writes what AsyncAPI's own parser has against it on stdout, a line each.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
for (const { code, message, path } of diagnostics) console.log(`${path.join(".")}: ${message} (${code})`);
if (!document) process.exitCode = 1;

/** Starts the repository's stand-in for an OIDC issuer. It needs nothing but Python's standard library. */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Issuer {
  readonly url: string;
  /** Lets it answer in another way: the fields of `Behaviour` in tests/fakes/oidc_issuer.py. */
  behave(behaviour: Readonly<Record<string, unknown>>): Promise<void>;
  stop(): void;
}

export async function startIssuer(): Promise<Issuer> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const python = process.env.PYTHON ?? "python3";
  const child: ChildProcess = spawn(python, ["-m", "tests.fakes.oidc_issuer"], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the issuer ended with ${code}`)));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
  });
  return {
    url,
    behave: async (behaviour) => {
      const response = await fetch(`${url}/behaviour`, { method: "POST", body: JSON.stringify(behaviour) });
      if (!response.ok) throw new Error(`the issuer does not know this behaviour: ${JSON.stringify(behaviour)}`);
    },
    stop: () => void child.stdin?.end(),
  };
}

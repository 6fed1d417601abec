// pktui stands between opencode and its own tools: a throw blocks a call, the model reads the words.
// Written by `pktui adopt`, removed by `pktui clients release`.
import { spawn } from "node:child_process"

const COMMAND = [/*COMMAND*/]
const SECONDS = 330

function hook(event, onlyNote) {
  return new Promise((resolve, reject) => {
    let said = ""
    let printed = ""
    const blocked = (why) => (onlyNote ? resolve() : reject(new Error(why)))
    let child
    try {
      child = spawn(COMMAND[0], COMMAND.slice(1), { stdio: ["pipe", "pipe", "pipe"] })
    } catch (error) {
      return blocked(`[DENIED by pktui] pktui hook cannot be started: ${error.message}`)
    }
    const late = setTimeout(() => {
      child.kill("SIGKILL") // what it started may keep its pipes open, so nothing waits for them
      blocked(`[DENIED by pktui] pktui hook took more than ${SECONDS} s`)
    }, SECONDS * 1000)
    child.on("error", (error) => blocked(`[DENIED by pktui] pktui hook cannot be started: ${error.message}`))
    child.stderr.on("data", (data) => (said += data))
    child.stdout.on("data", (data) => (printed += data))
    child.stdin.on("error", () => {})
    child.on("close", (code, signal) => {
      clearTimeout(late)
      if (code === 0 && !printed) resolve() // the hook says nothing where a call may run
      else blocked(said.trim() || `[DENIED by pktui] pktui hook failed (${signal ?? code})`)
    })
    child.stdin.end(JSON.stringify(event))
  })
}

export const Pktui = async ({ directory }) => {
  const note = (event) => hook({ directory, ...event }, true)
  await note({ event: "plugin.init", sessionID: "" })
  return {
    "tool.execute.before": async (input, output) => {
      await hook({
        event: "tool.execute.before",
        tool: input.tool,
        sessionID: input.sessionID,
        callID: input.callID,
        args: output.args ?? {},
        directory,
      })
    },
    "tool.execute.after": async (input, output) => {
      const exit = output?.metadata?.exit
      await note({
        event: "tool.execute.after",
        tool: input.tool,
        sessionID: input.sessionID,
        callID: input.callID,
        args: input.args ?? {},
        output: output?.output,
        failed: output?.isError === true || (typeof exit === "number" && exit !== 0),
      })
    },
    "chat.message": async (input) => note({ event: "chat.message", sessionID: input.sessionID }),
    event: async ({ event }) => {
      if (event.type === "session.idle") await note({ event: event.type, sessionID: event.properties?.sessionID ?? "" })
    },
  }
}

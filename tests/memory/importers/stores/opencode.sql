CREATE TABLE `session` (
  `id` text PRIMARY KEY,
  `project_id` text NOT NULL,
  `workspace_id` text,
  `parent_id` text,
  `slug` text NOT NULL,
  `directory` text NOT NULL,
  `path` text,
  `title` text NOT NULL,
  `version` text NOT NULL,
  `share_url` text,
  `summary_additions` integer,
  `summary_deletions` integer,
  `summary_files` integer,
  `summary_diffs` text,
  `metadata` text,
  `cost` real DEFAULT 0 NOT NULL,
  `tokens_input` integer DEFAULT 0 NOT NULL,
  `tokens_output` integer DEFAULT 0 NOT NULL,
  `tokens_reasoning` integer DEFAULT 0 NOT NULL,
  `tokens_cache_read` integer DEFAULT 0 NOT NULL,
  `tokens_cache_write` integer DEFAULT 0 NOT NULL,
  `revert` text,
  `permission` text,
  `agent` text,
  `model` text,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `time_compacting` integer,
  `time_archived` integer
);
CREATE TABLE `message` (
  `id` text PRIMARY KEY,
  `session_id` text NOT NULL,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `data` text NOT NULL
);
CREATE TABLE `part` (
  `id` text PRIMARY KEY,
  `message_id` text NOT NULL,
  `session_id` text NOT NULL,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `data` text NOT NULL
);
CREATE TABLE `session_message` (
  `id` text PRIMARY KEY,
  `session_id` text NOT NULL,
  `type` text NOT NULL,
  `seq` integer NOT NULL,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `data` text NOT NULL
);
INSERT INTO session (id, project_id, parent_id, slug, directory, title, version, agent, time_created, time_updated) VALUES
  ('ses_dff021b50ffeADA807aYbMWa5G', 'global', NULL, 'crisp-cactus', '/home/dev/app', 'Scripted test session', '1.18.33', 'build', 1795312968880, 1795312974541);
INSERT INTO session (id, project_id, parent_id, slug, directory, title, version, agent, time_created, time_updated) VALUES
  ('ses_dff01ba5bffetmYQv5juD43ZlO', 'global', NULL, 'stellar-comet', '/home/dev/app', 'Scripted test session', '1.18.33', 'build', 1795312993700, 1795313001693);
INSERT INTO session (id, project_id, parent_id, slug, directory, title, version, agent, time_created, time_updated) VALUES
  ('ses_dff01a80cffe68AmxOAMR4inMX', 'global', 'ses_dff01ba5bffetmYQv5juD43ZlO', 'nimble-pixel', '/home/dev/app', 'count files (@general subagent)', '1.18.33', 'general', 1795312998387, 1795313000711);
INSERT INTO session (id, project_id, parent_id, slug, directory, title, version, agent, time_created, time_updated) VALUES
  ('ses_dff0163eaffe7Naknwo0IHk4Tj', 'global', NULL, 'witty-rocket', '/home/dev/app', 'Scripted test session', '1.18.33', 'build', 1795313015830, 1795313020773);
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fde56a001EXX0yFCTMJzope', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312969067, 1795312974363, '{"role":"user","time":{"created":1795312969067},"agent":"build"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fdea0f001hKIAfsAuQjVDvo', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312970255, 1795312972785, '{"parentID":"msg_200fde56a001EXX0yFCTMJzope","role":"assistant","mode":"build","agent":"build","time":{"created":1795312970255,"completed":1795312972784},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fdf3f7001UYpJK28PjSVkKT', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972791, 1795312973170, '{"parentID":"msg_200fde56a001EXX0yFCTMJzope","role":"assistant","mode":"build","agent":"build","time":{"created":1795312972791,"completed":1795312973168},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fdf577001x9IWDjOZ7TSGc4', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973175, 1795312973538, '{"parentID":"msg_200fde56a001EXX0yFCTMJzope","role":"assistant","mode":"build","agent":"build","time":{"created":1795312973175,"completed":1795312973536},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fdf6e7001Uw278zF0y8XOo5', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973543, 1795312973870, '{"parentID":"msg_200fde56a001EXX0yFCTMJzope","role":"assistant","mode":"build","agent":"build","time":{"created":1795312973543,"completed":1795312973869},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fdf833001Q4iQb6ZV0fPDIV', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973875, 1795312974250, '{"parentID":"msg_200fde56a001EXX0yFCTMJzope","role":"assistant","mode":"build","agent":"build","time":{"created":1795312973875,"completed":1795312974248},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fdf9ae0016r6puXer1jPGfU', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974254, 1795312974527, '{"parentID":"msg_200fde56a001EXX0yFCTMJzope","role":"assistant","mode":"build","agent":"build","time":{"created":1795312974254,"completed":1795312974525},"finish":"stop"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe465c0019LI49jfs9CydOB', 'ses_dff01ba5bffetmYQv5juD43ZlO', 1795312993884, 1795313001523, '{"role":"user","time":{"created":1795312993884},"agent":"build"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe4d49001R6OUOJYOGNszTl', 'ses_dff01ba5bffetmYQv5juD43ZlO', 1795312995657, 1795313001112, '{"parentID":"msg_200fe465c0019LI49jfs9CydOB","role":"assistant","mode":"build","agent":"build","time":{"created":1795312995657,"completed":1795313001107},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe62a1001LYJh3JIQw14UJW', 'ses_dff01ba5bffetmYQv5juD43ZlO', 1795313001121, 1795313001677, '{"parentID":"msg_200fe465c0019LI49jfs9CydOB","role":"assistant","mode":"build","agent":"build","time":{"created":1795313001121,"completed":1795313001676},"finish":"stop"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe5805001oVeja2xYvItIp3', 'ses_dff01a80cffe68AmxOAMR4inMX', 1795312998407, 1795313001448, '{"role":"user","time":{"created":1795312998407},"agent":"general"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe5840001yecD6c0sS6zUZU', 'ses_dff01a80cffe68AmxOAMR4inMX', 1795312998464, 1795312999700, '{"parentID":"msg_200fe5805001oVeja2xYvItIp3","role":"assistant","mode":"general","agent":"general","time":{"created":1795312998464,"completed":1795312999692},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe5d23001x9Mv1zuTgWN7tU', 'ses_dff01a80cffe68AmxOAMR4inMX', 1795312999715, 1795313000669, '{"parentID":"msg_200fe5805001oVeja2xYvItIp3","role":"assistant","mode":"general","agent":"general","time":{"created":1795312999715,"completed":1795313000661},"finish":"stop"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fe9cf6001IZQD1ZcL9PKRp8', 'ses_dff0163eaffe7Naknwo0IHk4Tj', 1795313016054, 1795313020953, '{"role":"user","time":{"created":1795313016054},"agent":"build"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200fea2b8001nnGMpRH2CzhYND', 'ses_dff0163eaffe7Naknwo0IHk4Tj', 1795313017528, 1795313020755, '{"parentID":"msg_200fe9cf6001IZQD1ZcL9PKRp8","role":"assistant","mode":"build","agent":"build","time":{"created":1795313017528,"completed":1795313020752},"finish":"tool-calls"}');
INSERT INTO message (id, session_id, time_created, time_updated, data) VALUES
  ('msg_200feaf5a001eWEc7u8VDDKEcr', 'ses_dff0163eaffe7Naknwo0IHk4Tj', 1795313020762, 1795313020764, '{"parentID":"msg_200fe9cf6001IZQD1ZcL9PKRp8","role":"assistant","mode":"build","agent":"build","time":{"created":1795313020762}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fde57a001umrDr6G3JmDJQA', 'msg_200fde56a001EXX0yFCTMJzope', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312969090, 1795312969094, '{"type":"text","text":"\"Run a few things that fail.\""}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf1cc001vIcz4I4Twi5seB', 'msg_200fdea0f001hKIAfsAuQjVDvo', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972236, 1795312972242, '{"type":"step-start"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf1d800172V55lbZ3k2aUy', 'msg_200fdea0f001hKIAfsAuQjVDvo', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972249, 1795312972441, '{"type":"text","text":"Trying a failing command.","time":{"start":1795312972249,"end":1795312972438}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf1eb001ewJwn2EQhrKmPL', 'msg_200fdea0f001hKIAfsAuQjVDvo', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972268, 1795312972580, '{"type":"tool","tool":"bash","callID":"call_7331a1d8c3bc488b8a3d072d","state":{"status":"completed","input":{"command":"echo to-stdout; echo to-stderr >&2; exit 3","description":"run a command"},"output":"to-stdout\nto-stderr\n","metadata":{"output":"to-stdout\nto-stderr\n","exit":3,"truncated":false},"title":"echo to-stdout; echo to-stderr >&2; exit 3","time":{"start":1795312972340,"end":1795312972577}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf39b001ScpeNCKCu5rAut', 'msg_200fdea0f001hKIAfsAuQjVDvo', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972700, 1795312972703, '{"reason":"tool-calls","type":"step-finish"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf4bf001w9cGwQStatW6Pl', 'msg_200fdf3f7001UYpJK28PjSVkKT', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972991, 1795312972993, '{"type":"step-start"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf4c40013VrAAKaGSID59o', 'msg_200fdf3f7001UYpJK28PjSVkKT', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312972996, 1795312973045, '{"type":"tool","tool":"read","callID":"call_668ed54d8e234e5cb3235eb3","state":{"status":"error","input":{"filePath":"/home/dev/app/does-not-exist.txt"},"error":"File not found: /home/dev/app/does-not-exist.txt","time":{"start":1795312973011,"end":1795312973042}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf52f001KqGPG7viNjTKsg', 'msg_200fdf3f7001UYpJK28PjSVkKT', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973103, 1795312973105, '{"reason":"tool-calls","type":"step-finish"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf61f001YHcuTXegkm3mVe', 'msg_200fdf577001x9IWDjOZ7TSGc4', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973343, 1795312973345, '{"type":"step-start"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf624001z5jsi7e1ZHXtQw', 'msg_200fdf577001x9IWDjOZ7TSGc4', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973348, 1795312973388, '{"type":"tool","tool":"raw_fail","callID":"call_3dadf2baa25b4c2c8047d90b","state":{"status":"error","input":{"msg":"denied by policy: rule-7"},"error":"RAW-ISERROR denied by policy: rule-7","time":{"start":1795312973361,"end":1795312973386}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf694001NyDLng41DODRTv', 'msg_200fdf577001x9IWDjOZ7TSGc4', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973460, 1795312973462, '{"reason":"tool-calls","type":"step-finish"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf784001tzNiXZXf1220iM', 'msg_200fdf6e7001Uw278zF0y8XOo5', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973700, 1795312973702, '{"type":"step-start"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf789001y0JE1vz42B2iqq', 'msg_200fdf6e7001Uw278zF0y8XOo5', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973705, 1795312973741, '{"type":"tool","tool":"raw_rpc_error","callID":"call_f24cda9fa7fb47f29299dabc","state":{"status":"error","input":{"msg":"blocked"},"error":"MCP error -32050: RAW-RPC-ERROR blocked","time":{"start":1795312973714,"end":1795312973739}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf7e6001PMTM1pylumljqc', 'msg_200fdf6e7001Uw278zF0y8XOo5', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312973798, 1795312973800, '{"reason":"tool-calls","type":"step-finish"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf8cf001lDngPrIijuTGvV', 'msg_200fdf833001Q4iQb6ZV0fPDIV', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974031, 1795312974033, '{"type":"step-start"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf8d3001LiJhfqkoz05vSC', 'msg_200fdf833001Q4iQb6ZV0fPDIV', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974035, 1795312974087, '{"type":"tool","tool":"raw_echo","callID":"call_7b4ca1067c7841fa86e04685","state":{"status":"completed","input":{"text":"one"},"output":"echo: one","metadata":{"truncated":false},"title":"","time":{"start":1795312974044,"end":1795312974086}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf8df001ZuNs8vHgW13s1U', 'msg_200fdf833001Q4iQb6ZV0fPDIV', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974048, 1795312974122, '{"type":"tool","tool":"bash","callID":"call_adfdd1886b6e44118620540a","state":{"status":"completed","input":{"command":"ls /nonexistent-dir","description":"run a command"},"output":"ls: cannot access ''/nonexistent-dir'': No such file or directory\n","metadata":{"output":"ls: cannot access ''/nonexistent-dir'': No such file or directory\n","exit":2,"truncated":false},"title":"ls /nonexistent-dir","time":{"start":1795312974058,"end":1795312974120}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf8f2001oGi5rsG0S9h9ud', 'msg_200fdf833001Q4iQb6ZV0fPDIV', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974066, 1795312974091, '{"type":"tool","tool":"raw_echo","callID":"call_04b265ff35f1480d8f5a01fd","state":{"status":"completed","input":{"text":"two"},"output":"echo: two","metadata":{"truncated":false},"title":"","time":{"start":1795312974073,"end":1795312974090}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdf964001oedBg9wdGjC06M', 'msg_200fdf833001Q4iQb6ZV0fPDIV', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974180, 1795312974182, '{"reason":"tool-calls","type":"step-finish"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdfa4c001cgt2uqPSccrH52', 'msg_200fdf9ae0016r6puXer1jPGfU', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974412, 1795312974415, '{"type":"step-start"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdfa50001gC2G4HzehUgGx3', 'msg_200fdf9ae0016r6puXer1jPGfU', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974417, 1795312974422, '{"type":"text","text":"Three of these failed; I''m stopping here.","time":{"start":1795312974416,"end":1795312974421}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fdfa8d001fWX6CZ2CVg8TQ4', 'msg_200fdf9ae0016r6puXer1jPGfU', 'ses_dff021b50ffeADA807aYbMWa5G', 1795312974478, 1795312974480, '{"reason":"stop","type":"step-finish"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe466a001VbPm0xxGnFpIIh', 'msg_200fe465c0019LI49jfs9CydOB', 'ses_dff01ba5bffetmYQv5juD43ZlO', 1795312993906, 1795312993909, '{"type":"text","text":"\"Use a subagent to count the files\""}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe57d4001p9Hp8WmPqwTa3O', 'msg_200fe4d49001R6OUOJYOGNszTl', 'ses_dff01ba5bffetmYQv5juD43ZlO', 1795312998357, 1795313000707, '{"type":"tool","tool":"task","callID":"call_ec973a8ffdd74648a90e5f84","state":{"status":"completed","input":{"description":"count files","prompt":"SUBAGENT PROMPT: count the files","subagent_type":"general"},"output":"<task id=\"ses_dff01a80cffe68AmxOAMR4inMX\" state=\"completed\">\n<task_result>\nThere are two files (subagent answer).\n</task_result>\n</task>","metadata":{"parentSessionId":"ses_dff01ba5bffetmYQv5juD43ZlO","sessionId":"ses_dff01a80cffe68AmxOAMR4inMX","model":{"modelID":"fake-model","providerID":"fake"},"truncated":false},"title":"count files","time":{"start":1795312998396,"end":1795313000701}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe639c001OC7TTS9XgBiomJ', 'msg_200fe62a1001LYJh3JIQw14UJW', 'ses_dff01ba5bffetmYQv5juD43ZlO', 1795313001373, 1795313001401, '{"type":"text","text":"The subagent counted the files.","time":{"start":1795313001373,"end":1795313001393}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe580d001AYJGgXKs6RqZHJ', 'msg_200fe5805001oVeja2xYvItIp3', 'ses_dff01a80cffe68AmxOAMR4inMX', 1795312998418, 1795312998419, '{"type":"text","text":"SUBAGENT PROMPT: count the files"}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe5927001HsT3DlHIbPjAWU', 'msg_200fe5840001yecD6c0sS6zUZU', 'ses_dff01a80cffe68AmxOAMR4inMX', 1795312998695, 1795312999175, '{"type":"tool","tool":"bash","callID":"call_0c0514b303914ee5b80c981e","state":{"status":"completed","input":{"command":"ls | wc -l","description":"run a command"},"output":"3\n","metadata":{"output":"3\n","exit":0,"truncated":false},"title":"ls | wc -l","time":{"start":1795312998718,"end":1795312999165}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe5ee4001tmRnn51cVNKJei', 'msg_200fe5d23001x9Mv1zuTgWN7tU', 'ses_dff01a80cffe68AmxOAMR4inMX', 1795313000165, 1795313000185, '{"type":"text","text":"There are two files (subagent answer).","time":{"start":1795313000164,"end":1795313000175}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200fe9d08001UWrfF97k46dJl5', 'msg_200fe9cf6001IZQD1ZcL9PKRp8', 'ses_dff0163eaffe7Naknwo0IHk4Tj', 1795313016084, 1795313016089, '{"type":"text","text":"\"This run is killed in the middle of a tool call\""}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200feacbe0012TKheoQbSMy2rR', 'msg_200fea2b8001nnGMpRH2CzhYND', 'ses_dff0163eaffe7Naknwo0IHk4Tj', 1795313020095, 1795313020402, '{"type":"tool","tool":"bash","callID":"call_8e1949eb60e34f75a7a18e29","state":{"status":"completed","input":{"command":"echo before-interrupt","description":"run a command"},"output":"before-interrupt\n","metadata":{"output":"before-interrupt\n","exit":0,"truncated":false},"title":"echo before-interrupt","time":{"start":1795313020130,"end":1795313020399}}}');
INSERT INTO part (id, message_id, session_id, time_created, time_updated, data) VALUES
  ('prt_200feb06b001MBYwiOfjeCLYoR', 'msg_200feaf5a001eWEc7u8VDDKEcr', 'ses_dff0163eaffe7Naknwo0IHk4Tj', 1795313021035, 1795313021052, '{"type":"tool","tool":"raw_slow","callID":"call_ccc66dfe57044a2392ba0e11","state":{"status":"running","input":{"seconds":60},"time":{"start":1795313021050}}}');

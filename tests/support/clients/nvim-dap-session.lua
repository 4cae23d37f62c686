-- A session of Neovim with nvim-dap over a recorded guest, by the configuration of examples/nvim-dap: run
-- with `nvim --headless --clean -S`. Each stop is a line of JSON in the file that it is told.

local function given(name)
  local value = os.getenv(name)
  assert(value, name .. ' was expected')
  return value
end

local lines = {}
local function note(...)
  table.insert(lines, vim.json.encode({ ... }))
end

local function session()
  vim.opt.runtimepath:prepend(given('PAGELEDGER_NVIM_DAP'))
  package.path = given('EXAMPLE') .. '/?.lua;' .. package.path
  local dap = require('dap')
  local guest = require('pageledger')
  -- What is installed as `pageledger` is this build, and the ledger is named.
  local adapter = dap.adapters.pageledger
  adapter.command = given('NODE')
  adapter.args = vim.list_extend({ given('COMMAND_LINE'), '--ledger', given('LEDGER') }, adapter.args)
  local typed = { ['VM: '] = 'made', ['point: '] = 'latest' }
  vim.fn.input = function(prompt)
    return typed[prompt]
  end

  local stops = 0
  local stopped = nil
  local answered = {}
  dap.listeners.after.event_stopped.driver = function(_, body)
    stops = stops + 1
    stopped = body
  end
  local function await(what, holds)
    assert(vim.wait(120000, holds, 10), what .. ' was waited for in vain')
  end
  local function stop_after(name, act)
    local before = stops
    act()
    await(name, function()
      return stops > before
    end)
    note(name, stopped.reason, stopped.text)
  end
  local function answer_to(command, of)
    local found = nil
    dap.session():request(command, of, function(err, body)
      found = err and { message = err.message } or body
    end)
    await(command, function()
      return found ~= nil
    end)
    return found
  end

  stop_after('attach', function()
    dap.run(dap.configurations.pageledger[1])
  end)
  dap.listeners.after.setDataBreakpoints.driver = function(_, err, body)
    answered = { err = err, body = body }
  end
  guest.watch(given('PLACE'), 8)
  await('watch', function()
    return answered.body ~= nil or answered.err ~= nil
  end)
  note('watch', answered.body and answered.body.breakpoints[1].verified)
  for _, name in ipairs({ 'reverse_continue', 'reverse_continue', 'reverse_continue', 'continue', 'step_back', 'step_over' }) do
    stop_after(name, dap[name])
    local value = { expression = 'u64 ' .. given('PLACE'), context = 'repl' }
    note('value', answer_to('evaluate', value).result)
  end
  -- What is looked at by itself after a stop: threads, frames and scopes.
  await('frame', function()
    local frame = dap.session().current_frame
    return frame ~= nil and frame.scopes ~= nil
  end)
  local frame = dap.session().current_frame
  note('frame', frame.name, frame.scopes[1].name, frame.scopes[2].name)
  -- The captures are shown where code would be, and the line is the one where one stands.
  await('source', function()
    return vim.startswith(vim.api.nvim_get_current_line(), '@3 ')
  end)
  note('shown', vim.api.nvim_get_current_line())
  dap.disconnect()
  await('end', function()
    return dap.session() == nil
  end)
end

local isDone, why = xpcall(session, debug.traceback)
if not isDone then
  note('failed', why)
end
vim.fn.writefile(lines, given('SEEN'))
vim.cmd('qa!')

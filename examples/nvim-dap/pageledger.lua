-- Debug a recorded guest over its history in Neovim, with nvim-dap: copy this file into lua/ of your
-- configuration and say require('pageledger'). The ledger is $PAGELEDGER, or --ledger in args below.
--
-- Then :DapContinue asks for a VM and a point and stands there.
--   :lua require('dap').step_back()         one capture back; step_over() goes one forward
--   :lua require('dap').reverse_continue()  back to before the change of what is watched
--   :lua require('dap').repl.open()         u64 jiffies, last-change jiffies, goto 7, captures, attach 345
--
-- A data breakpoint is set on an address or a symbol of the kernel, with how many bytes:
--   :lua require('pageledger').watch('init_uts_ns+4', 8)

local dap = require('dap')
local M = {}

dap.adapters.pageledger = {
  type = 'executable',
  command = 'pageledger',
  args = { 'dap', '--stdio' },
}

dap.configurations.pageledger = {
  {
    type = 'pageledger',
    request = 'attach',
    name = 'a recorded guest',
    vm = function()
      return vim.fn.input('VM: ')
    end,
    at = function()
      return vim.fn.input('point: ', 'latest')
    end,
  },
}

local watched = {}

--- Watches bytes at an address, a symbol, or a symbol and how far behind it; none: nothing any more.
function M.watch(place, bytes)
  local session = dap.session()
  if session == nil then
    vim.notify('no guest is debugged: :DapContinue comes first')
    return
  end
  local function set()
    session:request('setDataBreakpoints', { breakpoints = watched }, function(err)
      if err then
        vim.notify(err.message)
      end
    end)
  end
  if place == nil then
    watched = {}
    set()
    return
  end
  local asked = { name = place, asAddress = true, bytes = bytes or 8 }
  session:request('dataBreakpointInfo', asked, function(err, info)
    if err or info.dataId == vim.NIL or info.dataId == nil then
      vim.notify(err and err.message or info.description)
      return
    end
    table.insert(watched, { dataId = info.dataId, accessType = 'write' })
    set()
  end)
end

return M

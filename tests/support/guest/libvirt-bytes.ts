// A save file of libvirt's: its header and a definition before a stream.

const HEADER_BYTES = 92;
const DEFINITION = Buffer.from('<domain/>\0');

/** Numbers of the forms that streams have there. */
export const LIBVIRT_FORMS = {
  raw: 0,
  gzip: 1,
  bzip2: 2,
  xz: 3,
  lzop: 4,
  zstd: 5,
  sparse: 6,
} as const;

/** The header and the definition. */
export function libvirtHead(
  options: { readonly form?: number; readonly isLittle?: boolean } = {},
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('LibvirtQemudSave');
  const fields = [2, DEFINITION.length, 1, options.form ?? LIBVIRT_FORMS.raw];
  for (const [i, field] of fields.entries()) {
    if (options.isLittle === false) header.writeUInt32BE(field, 16 + 4 * i);
    else header.writeUInt32LE(field, 16 + 4 * i);
  }
  return Buffer.concat([header, DEFINITION]);
}

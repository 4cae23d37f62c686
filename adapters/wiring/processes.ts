// Processes of this host, and folders that end with them, for faces.

export { holderOf, lookUp } from '../files/processes.ts';
export { HeldFolder } from '../guests/held-folder.ts';

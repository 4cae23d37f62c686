// Processes of this host, for faces.

export { lookUp } from '../files/processes.ts';

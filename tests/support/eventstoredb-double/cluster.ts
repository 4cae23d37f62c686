// What a client asks before it works: which methods the server has, and who leads.

import { randomUUID } from 'node:crypto';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import gossipMessages from '@eventstore/db-client/generated/gossip_pb.js';
import featureMessages from '@eventstore/db-client/generated/serverfeatures_pb.js';
import sharedMessages from '@eventstore/db-client/generated/shared_pb.js';
import type { ClusterInfo } from '@eventstore/db-client/generated/gossip_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { Empty } from '@eventstore/db-client/generated/shared_pb.js';
import { answer, refuse, type Services } from './services.ts';
import { SERVER_VERSION } from './server-behaviour.ts';

/** Only what the double serves is named; a server names its other services too. */
const SUPPORTED: readonly (readonly [service: string, method: string, ...features: string[]])[] = [
  ['event_store.client.streams.streams', 'read', 'position', 'events'],
  ['event_store.client.streams.streams', 'append'],
  ['event_store.client.streams.streams', 'delete'],
  ['event_store.client.streams.streams', 'tombstone'],
  ['event_store.client.streams.streams', 'batchappend', 'deadline_duration'],
  ['event_store.client.gossip.gossip', 'read'],
  ['event_store.client.server_features.serverfeatures', 'getsupportedmethods'],
];

/** Serves ServerFeatures.GetSupportedMethods. */
export function serveFeatures(
  services: Services,
  call: ServerUnaryCall<Empty, SupportedMethods>,
  callback: sendUnaryData<SupportedMethods>,
): void {
  answer(services, call, {
    method: 'features',
    anonymous: true,
    callback,
    work: async () => {
      refuse(await services.faults.meet('features', 'before'));
      const supported = new featureMessages.SupportedMethods();
      supported.setEventStoreServerVersion(SERVER_VERSION);
      for (const [service, name, ...features] of SUPPORTED) {
        const method = new featureMessages.SupportedMethod();
        method.setServiceName(service);
        method.setMethodName(name);
        method.setFeaturesList(features);
        supported.addMethods(method);
      }
      return supported;
    },
  });
}

/** Serves Gossip.Read: a cluster of one, which leads. */
export function serveGossip(
  services: Services,
  call: ServerUnaryCall<Empty, ClusterInfo>,
  options: { readonly callback: sendUnaryData<ClusterInfo>; readonly port: number },
): void {
  answer(services, call, {
    method: 'gossip',
    anonymous: true,
    callback: options.callback,
    work: async () => {
      refuse(await services.faults.meet('gossip', 'before'));
      const id = new sharedMessages.UUID();
      id.setString(randomUUID());
      const endPoint = new gossipMessages.EndPoint();
      endPoint.setAddress('127.0.0.1');
      endPoint.setPort(options.port);
      const member = new gossipMessages.MemberInfo();
      member.setInstanceId(id);
      member.setTimeStamp(String(Date.now()));
      member.setState(gossipMessages.MemberInfo.VNodeState.LEADER);
      member.setIsAlive(true);
      member.setHttpEndPoint(endPoint);
      const cluster = new gossipMessages.ClusterInfo();
      cluster.addMembers(member);
      return cluster;
    },
  });
}

function vpbxGwt(){var DECLARED;var $window$=window;$stats$("bootstrap","begin");
function $stats$(a,b){if($window$.__gwtStatsEvent){$window$.__gwtStatsEvent(
  {moduleName:"vpbxGwt",subSystem:"startup",evtGroup:a,millis:(new Date).getTime(),type:b})}}
vpbxGwt.__sendStats=$stats$;vpbxGwt.__moduleName="vpbxGwt";
vpbxGwt.__errFn=null;vpbxGwt.__moduleBase="DUMMY";vpbxGwt.__softPermutationId=0;
$stats$("moduleRequested","clear.cache.gif");
function $select$(){var e=[],f=0,n;
function g(a,b){var c=e;for(var d=0,h=a.length-1;d<h;++d){c=c[a[d]]||(c[a[d]]=[])}c[a[h]]=b}
var j=[];j["locale"]=function(){return "default"};j["user.agent"]=function(){return "safari"};
function m(a){return j[a]()}
try{CHOICES;var o=n.indexOf(":");
  if(o!=-1){f=parseInt(n.substring(o+1),10);n=n.substring(0,o)}}catch(a){}
vpbxGwt.__softPermutationId=f;$stats$("bootstrap","selectingPermutation");
return $resolve$(n+".cache.js")}
function $resolve$(a){return vpbxGwt.__moduleBase+a}
$stats$("bootstrap","end");return $select$()}
vpbxGwt.succeeded=vpbxGwt();

function $prepare$(b){var a={};a.$tokens$=b;a.$at$=b.length;a.$objects$=[];
  a.$version$=$int$(a);a.$flags$=$int$(a);a.$strings$=a.$tokens$[--a.$at$];return a}
function $int$(a){return a.$tokens$[--a.$at$]}
function $boolean$(a){return !!a.$tokens$[--a.$at$]}
function $text$(b,a){return a>0?b.$strings$[a-1]:null}
function $code$(b,a){return b.charCodeAt(a)}
function $digit$(a){if(a>=65&&a<=90){return a-65}if(a>=97){return a-97+26}
  if(a>=48&&a<=57){return a-48+52}if(a==36){return 62}return 63}
function $parse$(a){var b,c,d;d=0;c=$digit$($code$(a,d++));b=a.length;
  while(d<b){c=c*64+$digit$($code$(a,d++))}return c}
function $long$(b){var a=b.$tokens$[--b.$at$];return $parse$(a)}
function $known$(a,b){return a.$objects$[b]}
function $reserve$(a){a.$objects$[a.$objects$.length]=null;return true}
function $remember$(a,b,c){a.$objects$[b]=c}
function $create$(c,a,b){return c[b][0](a)}
function $fill$(b,c,a,d){b[d][1](c,a)}
function $object$(a){var b,c,d,e;b=$int$(a);if(b<0){return $known$(a,-(b+1))}c=$text$(a,b);
  if(c==null){return null}return d=($reserve$(a),a.$objects$.length),e=$create$($table$,a,c),
  $remember$(a,d-1,e),$fill$($table$,a,e,c),e}
function $cast$(a,b){return a}
function $Plain$(){}
function $List$(){this.$items$=[]}
function $add$(a,b){a.$items$.push(b)}
function $none$(a,b){}
function $append$(a,b){a.$text$+=''+b;a.$text$+='|'}
function $index$(a,b){var c;if(b==null){return 0}c=a.$indices$[':'+b];if(c){return c}
  a.$written$.push(b);c=a.$written$.length;a.$indices$[':'+b]=c;return c}
function $writeString$(a,b){$append$(a,$index$(a,b))}
function $find$(a,b){var c,d;for(c=0,d=a.length;c<d;++c){if(a[c]===b){return c}}return -1}
function $write$(d,a,b,c){d[c][2](a,b)}
function $writeObject$(a,b){var c,d;if(b==null){$append$(a,$index$(a,null));return}
  c=$find$(a.$sent$,b);if(c>=0){$append$(a,''+-(c+1));return}a.$sent$.push(b);d=b.$class$;
  $append$(a,$index$(a,d));$write$($table$,a,b,d)}
function $Proxy$(a,b,c,d){this.$path$=a+b;this.$policy$=c;this.$name$=b;this.$types$=d}
function $Call$(a,b,c){this.$owner$=a;this.$name$=b+'.'+c;this.$method$=c}
function $begin$(a,b,c){a.$stream$={};$writeString$(a.$stream$,b);$writeString$(a.$stream$,
  a.$method$);$append$(a.$stream$,c);return a.$stream$}
function $send$(a,b,c){return c(a,b)}
function $wrap$(a){return a}
var $table$={};
